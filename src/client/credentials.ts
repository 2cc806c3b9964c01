import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { homeFolder } from '../files/home-folder.ts';
import { Unauthenticated } from '../protocol/errors.ts';
import { RENEWAL_SECONDS } from '../protocol/limits.ts';
import { readLogin } from './login/read-login.ts';
import type { TokenSource } from './requester.ts';
import { unprovenClaims } from './unproven-claims.ts';

type Environment = Record<string, string | undefined>;

/** Renews the login in a file and answers its new ID token. */
export type RenewLogin = (file: string) => Promise<string>;

/**
 * The user's bearer token, from the places where PanDA's clients look, in their order: `PANDA_AUTH_ID_TOKEN`, the file
 * that `OIDC_AUTH_TOKEN_FILE` names, `OIDC_AUTH_ID_TOKEN`, and what a login left in `$PANDA_CONFIG_ROOT/.token`
 * (`~/.pathena/.token`). A login that ends within `RENEWAL_SECONDS` is renewed first.
 *
 * The source throws Unauthenticated when there is none, when it is not a token, and when it has ended; each message says
 * where it looked and how to get one.
 *
 * @param clock milliseconds since 1970
 */
export function tokenSource(env: Environment, clock: () => number, renew?: RenewLogin): TokenSource {
  return async () => {
    const given = await givenToken(env);
    if (!given) return await loginToken(loginFile(env), clock(), renew);
    checkToken(given.token, given.from, clock(), howToReplace(given));
    return given.token;
  };
}

/** Variables that hold a token itself, in the order in which they count: the file that `TOKEN_FILE_VARIABLE` names goes between. */
export const TOKEN_VARIABLES = ['PANDA_AUTH_ID_TOKEN', 'OIDC_AUTH_ID_TOKEN'] as const;
const TOKEN_FILE_VARIABLE = 'OIDC_AUTH_TOKEN_FILE';

/** The variable whose token counts before a login; undefined where none is set. */
export function tokenVariable(env: Environment): string | undefined {
  const [first, older] = TOKEN_VARIABLES;
  return [first, TOKEN_FILE_VARIABLE, older].find((name) => env[name]);
}

/** With the token in a file alone, and no other that the environment has. */
export function environmentWithTokenFile(env: Environment, file: string): Environment {
  return {
    ...env,
    ...Object.fromEntries(TOKEN_VARIABLES.map((name) => [name, undefined])),
    [TOKEN_FILE_VARIABLE]: file,
  };
}

/** Tells whether a login counts: a token that the environment names goes before it. */
export function isLoginUsed(env: Environment): boolean {
  return tokenVariable(env) === undefined;
}

/** Where a login leaves its tokens. */
export function loginFile(env: Environment): string {
  return join(configFolder(env), '.token');
}

/** The folder of PanDA's clients: the token that a login leaves, and the history. */
export function configFolder(env: Environment): string {
  const folder = env['PANDA_CONFIG_ROOT'];
  if (!folder) return join(homeFolder(env), '.pathena');
  return folder === '~' || folder.startsWith('~/') ? join(homeFolder(env), folder.slice(1)) : folder;
}

/** The folders and files of logins: where they are kept, and what the environment names. */
export function ownFiles(env: Environment): string[] {
  const file = env[TOKEN_FILE_VARIABLE];
  return [join(homeFolder(env), '.pathena'), configFolder(env), ...(file ? [file] : [])].map((path) => resolve(path));
}

const HOW_TO_GET_ONE =
  'Log in with "pbook login"; in a script on the machine of the server: export PANDA_AUTH_ID_TOKEN="$(panda-secrets token NAME)"';

/** A token that ended longer ago than this by this machine's clock is not even tried: clocks differ. */
const CLOCK_SKEW_SECONDS = 60;

interface GivenToken {
  token: string;
  /** The variable or file, for a message. */
  from: string;
  variable: string;
}

/** A login does not help while a variable goes before it. */
function howToReplace({ from, variable }: GivenToken): string {
  return `Put a new one there, as "panda-secrets token NAME" on the server's machine prints it${
    from === variable ? '' : ` (${variable} names the file)`
  }, or unset ${variable} and log in with "pbook login"`;
}

async function givenToken(env: Environment): Promise<GivenToken | undefined> {
  const variable = tokenVariable(env);
  const value = variable && env[variable];
  if (!variable || !value) return undefined;
  if (variable !== TOKEN_FILE_VARIABLE) return { token: value.trim(), from: variable, variable };
  return { token: (await readTokenFile(value)).trim(), from: value, variable };
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new Unauthenticated(`OIDC_AUTH_TOKEN_FILE names ${file}, which cannot be read (${reason})`);
  }
}

async function loginToken(file: string, now: number, renew: RenewLogin | undefined): Promise<string> {
  const found = await readLogin(file, now);
  if (!found) {
    throw new Unauthenticated(
      `you are not logged in: neither PANDA_AUTH_ID_TOKEN nor OIDC_AUTH_TOKEN_FILE is set, and there is no ${file}. ${HOW_TO_GET_ONE}`,
    );
  }
  const { login, secondsLeft } = found;
  if (renew && login.refresh_token !== undefined && secondsLeft < RENEWAL_SECONDS) {
    try {
      return await renew(file);
    } catch (error) {
      // It is good for a little longer; the next command tries again.
      if (secondsLeft <= 0) throw error;
    }
  }
  checkToken(login.id_token, file, now, HOW_TO_GET_ONE);
  return login.id_token;
}

function checkToken(token: string, from: string, now: number, advice: string): void {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) {
    throw new Unauthenticated(`${from} does not hold a token (three parts with dots between). ${advice}`);
  }
  const { exp } = unprovenClaims(token);
  if (typeof exp === 'number' && (exp + CLOCK_SKEW_SECONDS) * 1000 < now) {
    const ended = `${new Date(Math.max(0, exp) * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    throw new Unauthenticated(`your token (from ${from}) ended at ${ended}. ${advice}`);
  }
}
