import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Unauthenticated } from '../protocol/errors.ts';
import type { TokenSource } from './requester.ts';

type Environment = Record<string, string | undefined>;

/**
 * The user's bearer token, from the places where PanDA's clients look, in their order: `PANDA_AUTH_ID_TOKEN`, the file
 * that `OIDC_AUTH_TOKEN_FILE` names, `OIDC_AUTH_ID_TOKEN`, and what a login left in `$PANDA_CONFIG_ROOT/.token`
 * (`~/.pathena/.token`).
 *
 * The source throws Unauthenticated when there is none, when it is not a token, and when it has ended; each message says
 * where it looked and how to get one.
 *
 * @param clock milliseconds since 1970
 */
export function tokenSource(env: Environment, clock: () => number): TokenSource {
  return async () => {
    const { token, from } = await findToken(env);
    checkToken(token, from, clock());
    return token;
  };
}

/** The claims of a token as they stand in it. Nothing is proved by them: the server is who checks. */
export function claimsOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};
  } catch {
    return {};
  }
}

/** The folder of PanDA's clients: the token that a login leaves, and the history. */
function configFolder(env: Environment): string {
  const folder = env['PANDA_CONFIG_ROOT'];
  if (!folder) return join(homedir(), '.pathena');
  return folder === '~' || folder.startsWith('~/') ? join(homedir(), folder.slice(1)) : folder;
}

const HOW_TO_GET_ONE =
  'On the machine of the embedded server: export PANDA_AUTH_ID_TOKEN="$(panda-secrets token NAME)"; elsewhere ask its operator';

/** How long a token may have ended by this machine's clock before it is not even tried: clocks differ. */
const CLOCK_SKEW_SECONDS = 60;

interface FoundToken {
  token: string;
  /** The variable or file, for a message. */
  from: string;
}

async function findToken(env: Environment): Promise<FoundToken> {
  const given = env['PANDA_AUTH_ID_TOKEN'];
  if (given) return { token: given.trim(), from: 'PANDA_AUTH_ID_TOKEN' };
  const file = env['OIDC_AUTH_TOKEN_FILE'];
  if (file) return { token: (await readTokenFile(file)).trim(), from: file };
  const older = env['OIDC_AUTH_ID_TOKEN'];
  if (older) return { token: older.trim(), from: 'OIDC_AUTH_ID_TOKEN' };
  return await findLogin(join(configFolder(env), '.token'));
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new Unauthenticated(`OIDC_AUTH_TOKEN_FILE names ${file}, which cannot be read (${reason})`);
  }
}

/** What a login left: the token answer of OpenID Connect, as JSON. */
async function findLogin(file: string): Promise<FoundToken> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    if (reason !== 'ENOENT') throw new Unauthenticated(`${file} cannot be read (${reason})`);
    throw new Unauthenticated(
      `you have no token: neither PANDA_AUTH_ID_TOKEN nor OIDC_AUTH_TOKEN_FILE is set, and there is no ${file}. ${HOW_TO_GET_ONE}`,
    );
  }
  let login: { id_token?: unknown } | null;
  try {
    login = JSON.parse(text);
  } catch {
    login = null;
  }
  if (typeof login?.id_token !== 'string') {
    throw new Unauthenticated(`${file} holds no id_token; remove it and get a token anew. ${HOW_TO_GET_ONE}`);
  }
  return { token: login.id_token, from: file };
}

function checkToken(token: string, from: string, now: number): void {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) {
    throw new Unauthenticated(`what ${from} holds is not a token (three parts with dots between). ${HOW_TO_GET_ONE}`);
  }
  const { exp } = claimsOf(token);
  if (typeof exp === 'number' && (exp + CLOCK_SKEW_SECONDS) * 1000 < now) {
    const ended = `${new Date(Math.max(0, exp) * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    throw new Unauthenticated(`your token (from ${from}) ended at ${ended}; get a new one. ${HOW_TO_GET_ONE}`);
  }
}
