import { type Client, createClient } from './client.ts';
import { tokenSource } from './credentials.ts';
import type { TokenSource } from './requester.ts';
import { cacheAddress, serverAddress } from './server-address.ts';

type Environment = Record<string, string | undefined>;

export interface Connection {
  client: Client;
  token: TokenSource;
  /** The VO that the caller speaks for, with its role if any. */
  vo: string;
  /** Whether the server's certificate is checked; true for http. */
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
export async function connect(env: Environment, clock: () => number = Date.now): Promise<Connection> {
  const url = serverAddress(env);
  const cacheUrl = cacheAddress(env);
  const vo = env['PANDA_AUTH_VO'] || env['OIDC_AUTH_VO'] || DEFAULT_VO;
  const token = tokenSource(env, clock);
  const secure = [url, cacheUrl].some((address) => address.startsWith('https:'));
  const trust = secure ? (await import('./tls-trust.ts')).tlsTrust(env) : {};
  const client = createClient({ url, cacheUrl, token, vo, ...trust });
  return { client, token, vo, verified: !secure || env['PANDA_VERIFY_HOST'] !== 'off' };
}
