import { type LoginServer, withIssuer } from './issuer.ts';
import { withLockFile } from './lock-file.ts';
import { readLogin } from './read-login.ts';
import { removeLogin } from './write-login.ts';

/**
 * Ends the login in `file`: removes it here, and tells the issuer (RFC 7009), so that a copy of it cannot be renewed.
 *
 * @returns false when there was none
 * @throws as `withIssuer`, after it was removed here
 */
export async function logout(file: string, server: LoginServer): Promise<boolean> {
  const found = await withLockFile(`${file}.lock`, async () => {
    const login = await readLogin(file, Date.now()).catch(() => undefined);
    await removeLogin(file);
    return login;
  });
  const token = found?.login.refresh_token;
  if (token !== undefined) {
    await withIssuer(server, async ({ openid, configuration }) => {
      if (configuration.serverMetadata().revocation_endpoint === undefined) return;
      await openid.tokenRevocation(configuration, token, { token_type_hint: 'refresh_token' });
    });
  }
  return found !== undefined;
}
