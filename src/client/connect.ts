import { type Client, createClient } from './client.ts';
import { isLoginUsed, loginFile, ownFiles, tokenSource } from './credentials.ts';
import type { LoginServer } from './login/issuer.ts';
import type { TokenSource } from './requester.ts';
import { cacheAddress, serverAddress } from './server-address.ts';

type Environment = Record<string, string | undefined>;

export interface Connection {
  client: Client;
  token: TokenSource;
  /** The VO that the caller speaks for, with its role if any. */
  vo: string;
  /** Where the caller logs in, and the file that keeps the login. */
  login: {
    server: LoginServer;
    file: string /** False when the environment names a token, which goes before it. */;
    isUsed: boolean;
  };
  /** Where the caller's logins are kept: folders and files that no sandbox has. */
  ownFiles: readonly string[];
  /** The server's certificate is checked; true for http. */
  verified: boolean;
}

/** The VO of the embedded server. */
const DEFAULT_VO = 'panda';

/**
 * A client as the user's environment describes it: see `server-address.ts`, `tls-trust.ts` and `credentials.ts` for the
 * variables. Nothing is sent yet.
 *
 * @throws Misconfigured when a variable makes no sense
 */
export async function connect(
  env: Environment,
  { clock = Date.now, onSilence }: { clock?: () => number; onSilence?: (origin: string) => void } = {},
): Promise<Connection> {
  const url = serverAddress(env);
  const cacheUrl = cacheAddress(env);
  const vo = env['PANDA_AUTH_VO'] || env['OIDC_AUTH_VO'] || DEFAULT_VO;
  const secure = [url, cacheUrl].some((address) => address.startsWith('https:'));
  const trust = secure ? (await import('./tls-trust.ts')).tlsTrust(env) : {};
  const server = { url, vo, trust, ...(onSilence && { onSilence }) };
  const token = tokenSource(env, clock, async (file) =>
    (await import('./login/renew-login.ts')).renewLogin(file, server, clock),
  );
  const client = createClient({ url, cacheUrl, token, vo, ...trust, onSilence });
  return {
    client,
    token,
    vo,
    login: { server, file: loginFile(env), isUsed: isLoginUsed(env) },
    ownFiles: ownFiles(env),
    verified: !secure || env['PANDA_VERIFY_HOST'] !== 'off',
  };
}
