import type { Logger } from 'pino';
import type { Tell } from '../events/events.ts';
import { findActiveAccount } from '../identity/accounts.ts';
import { authConfigs } from '../identity/auth-config.ts';
import { trustExternalIssuer } from '../identity/external-issuer.ts';
import { createLogins } from '../identity/logins.ts';
import { findOutsideUser } from '../identity/outside-users.ts';
import { createIdentityProvider, removeEndedLogins } from '../identity/provider/provider.ts';
import { createSignIn } from '../identity/sign-in.ts';
import { createTokenVerifier, type TokenVerifier } from '../identity/tokens.ts';
import { DEFAULT_SITE_NAME } from '../protocol/limits.ts';
import type { LoginRooms } from '../server/login-rooms.ts';
import { withoutMessage } from '../server/plugins/request-log.ts';
import { countSignInTry } from '../store/sign-in-failures.ts';
import type { Installation } from './installation.ts';
import type { Settings } from './settings.ts';

/** The check of tokens and the provider that gives them: both depend on the server's address, which may be known only later. */
export interface LoginService {
  login: LoginRooms;
  verifyToken: TokenVerifier['verify'];
  isKnownToken: TokenVerifier['isKnown'];
  /** Removes what has ended. */
  removeEnded(): Promise<void>;
}

/** @param url the server's public address, asked for when the first request has come */
export function createLogin(
  { store, key, issuer }: Pick<Installation, 'store' | 'key' | 'issuer'>,
  { vo, issuers, siteName = DEFAULT_SITE_NAME }: Pick<Settings, 'vo' | 'issuers' | 'siteName'>,
  { url, logger, clock, tell }: { url: () => string; logger: Logger; clock: () => number; tell: Tell },
): LoginService {
  const external = issuers.map((one) =>
    trustExternalIssuer(one, { clock, findUser: (name) => findOutsideUser(store, name) }),
  );
  const verifier = once(() => createTokenVerifier({ issuers: [issuer.trustedAlsoAs(url()), ...external], clock }));
  const provider = once(() =>
    createIdentityProvider({
      url: url(),
      vo,
      siteName,
      store,
      records: key,
      signingKeys: issuer.signingKeys,
      clock,
      onFault: (error) => logger.error({ part: 'login', ...withoutMessage(error) }),
    }),
  );
  const configs = once(() => authConfigs({ url: url(), vo, issuers }));
  return {
    login: {
      provider,
      signIn: createSignIn({ store, clock, tell }),
      logins: createLogins({ store, records: key, clock }),
      findAccount: (subject) => findActiveAccount(store, subject),
      async countTry(key, milliseconds) {
        const now = clock();
        const counts = { now, expiresAt: now + milliseconds };
        const { failures, expires_at } = await store.write((tx) => countSignInTry(tx, `address ${key}`, counts));
        return { current: failures, ttl: expires_at - now };
      },
      authConfig: (name) => configs().get(name),
    },
    verifyToken: async (token) => verifier().verify(token),
    isKnownToken: (token) => verifier().isKnown(token),
    removeEnded: () => removeEndedLogins(store, clock()),
  };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
