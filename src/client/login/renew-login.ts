import { Unauthenticated } from '../../protocol/errors.ts';
import { RENEWAL_SECONDS } from '../../protocol/limits.ts';
import { unprovenClaims } from '../unproven-claims.ts';
import { type LoginServer, withIssuer } from './issuer.ts';
import { withLockFile } from './lock-file.ts';
import { readLogin, type StoredLogin } from './read-login.ts';
import { writeLogin } from './write-login.ts';

/**
 * Renews the login in `file` with its refresh token. Of several processes that find it ending, one renews and the others
 * take what it got: a refresh token is good once, and an issuer ends a login whose token is sent twice.
 *
 * @param clock milliseconds since 1970
 * @returns the new ID token
 * @throws {Unauthenticated} when the login has ended
 * @throws {Unavailable} when the issuer does not answer
 */
export async function renewLogin(file: string, server: LoginServer, clock: () => number): Promise<string> {
  return withLockFile(`${file}.lock`, async () => {
    const found = await readLogin(file, clock());
    if (!found) throw new Unauthenticated('you were logged out meanwhile: log in again with "pbook login"');
    if (found.secondsLeft > RENEWAL_SECONDS) return found.login.id_token;
    const renewed = await refresh(found.login, server, file, clock);
    return renewed.id_token;
  });
}

async function refresh(
  login: StoredLogin,
  server: LoginServer,
  file: string,
  clock: () => number,
): Promise<StoredLogin> {
  const { refresh_token } = login;
  if (refresh_token === undefined) throw ended();
  try {
    const tokens = await withIssuer(server, ({ openid, configuration }) =>
      openid.refreshTokenGrant(configuration, refresh_token),
    );
    if (
      typeof tokens.id_token !== 'string' ||
      unprovenClaims(tokens.id_token)['sub'] !== unprovenClaims(login.id_token)['sub']
    ) {
      throw new Unauthenticated('the issuer did not renew your login: log in again with "pbook login"');
    }
    // An issuer that does not rotate refresh tokens does not repeat them.
    const renewed = { ...login, ...tokens } as StoredLogin;
    await writeLogin(file, renewed);
    return renewed;
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
    // PanDA's own client, which keeps to no lock, may have been first.
    const now = await readLogin(file, clock());
    if (now && now.login.refresh_token !== refresh_token && now.secondsLeft > 0) return now.login;
    throw error;
  }
}

function ended(): Unauthenticated {
  return new Unauthenticated('your login has ended, and cannot be renewed: log in again with "pbook login"');
}
