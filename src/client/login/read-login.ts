import { readFile, stat } from 'node:fs/promises';
import { Unauthenticated } from '../../protocol/errors.ts';
import { unprovenClaims } from '../unproven-claims.ts';

/** The token answer of an issuer (OpenID Connect Core, 3.1.3.3), as PanDA's clients keep it: each goes on with the other's login. */
export interface StoredLogin {
  id_token: string;
  refresh_token?: string;
}

/** A login as it was found. */
export interface FoundLogin {
  login: StoredLogin;
  /** The seconds until its token ends; negative when it has ended. */
  secondsLeft: number;
}

/**
 * Reads the login in `file`; undefined when there is none.
 *
 * The time left is the shorter of two: until the token's end by this machine's clock, and the token's whole life from when the
 * file was written. So a clock that is behind takes no token for good that the server, whose clock counts, refuses.
 *
 * @param now milliseconds since 1970
 * @throws {Unauthenticated} when the file cannot be read or holds no login
 */
export async function readLogin(file: string, now: number): Promise<FoundLogin | undefined> {
  let text: string;
  let writtenAt: number;
  try {
    text = await readFile(file, 'utf8');
    writtenAt = (await stat(file)).mtimeMs;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    if (reason === 'ENOENT') return undefined;
    throw new Unauthenticated(`${file} cannot be read (${reason})`);
  }
  const login = parseLogin(text);
  if (!login) throw new Unauthenticated(`${file} holds no id_token; log in again with "pbook login"`);
  return { login, secondsLeft: secondsLeft(login.id_token, writtenAt, now) };
}

function parseLogin(text: string): StoredLogin | undefined {
  try {
    const login = JSON.parse(text) as StoredLogin | null;
    return typeof login?.id_token === 'string' ? login : undefined;
  } catch {
    return undefined;
  }
}

function secondsLeft(token: string, writtenAt: number, now: number): number {
  const { exp, iat } = unprovenClaims(token);
  if (typeof exp !== 'number') return Number.POSITIVE_INFINITY;
  const byClock = exp - now / 1000;
  if (typeof iat !== 'number') return byClock;
  return Math.min(byClock, exp - iat - (now - writtenAt) / 1000);
}
