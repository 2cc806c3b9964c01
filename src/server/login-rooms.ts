import type { Account } from '../identity/accounts.ts';
import type { AuthConfig } from '../identity/auth-config.ts';
import type { Logins } from '../identity/logins.ts';
import type { IdentityProvider } from '../identity/provider/provider.ts';
import type { SignIn } from '../identity/sign-in.ts';

/** The rooms by which people log in at the embedded provider. */
export interface LoginRooms {
  /** The provider; known once the server listens, because its address may be that. */
  provider(): IdentityProvider;
  signIn: SignIn;
  logins: Logins;
  /** The account with this `sub`, if it may be used. */
  findAccount(subject: string): Promise<Account | undefined>;
  /** Counts one more try under a key, on all servers of one database. @param ttl milliseconds until the count begins anew */
  countTry(key: string, milliseconds: number): Promise<{ current: number; ttl: number }>;
  /** Where members of a VO log in. */
  authConfig(vo: string): AuthConfig | undefined;
}
