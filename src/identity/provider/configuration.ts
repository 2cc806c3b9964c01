import {
  type AccountClaims,
  type ClientMetadata,
  type Configuration,
  errors,
  type FindAccount,
  type JWK,
} from 'oidc-provider';
import {
  DEVICE_CODE_SECONDS,
  ID_TOKEN_SECONDS,
  INTERACTION_SECONDS,
  REFRESH_TOKEN_SECONDS,
  SESSION_SECONDS,
} from '../../protocol/limits.ts';
import type { Store } from '../../store/store.ts';
import { findActiveAccount } from '../accounts.ts';
import { AUDIENCE, COMMAND_LINE_CLIENT, ISSUED_AT_CLAIM, LOGIN_CLAIM } from '../embedded-issuer.ts';
import type { OwnRecords } from '../own-records.ts';
import { createAdapters } from './adapter.ts';
import { grantsByItself, interactionPolicy } from './consent.ts';
import { INTERACTION_PATH, PATHS, SESSION_COOKIE } from './paths.ts';
import type { ProviderPages } from './rendering.ts';

/** The resource indicator (RFC 8707) of the API of the server at `url`: who names it is given a JWT access token for it. */
function apiResource(url: string): string {
  return `${url}/api/v1`;
}

/**
 * The OpenID provider's configuration. A feature of `oidc-provider` that is not named here is off, or as it is by default.
 *
 * @param url the issuer: the server's public address
 * @param vo the group that every account is in
 */
export function providerConfiguration({
  url,
  vo,
  store,
  records,
  clock,
  keys,
  cookieKeys,
  pages,
}: {
  url: string;
  vo: string;
  store: Store;
  records: OwnRecords;
  clock: () => number;
  /** Private, the signing one first. */
  keys: readonly JWK[];
  cookieKeys: readonly string[];
  pages: ProviderPages;
}): Configuration {
  return {
    adapter: createAdapters({ store, records, clock }),
    clients: CLIENTS,
    jwks: { keys: [...keys] },
    routes: PATHS,
    scopes: ['openid', 'offline_access', 'panda'],
    claims: {
      openid: ['sub', ISSUED_AT_CLAIM, LOGIN_CLAIM],
      profile: ['name', 'preferred_username', 'groups'],
      email: ['email'],
    },
    // PanDA's clients read name and groups from the ID token alone.
    conformIdTokenClaims: false,
    findAccount: accountFinder({ store, records, vo, clock }),
    extraTokenClaims: async (_ctx, token) => {
      const now = clock();
      const account = 'accountId' in token ? await findActiveAccount(store, token.accountId) : undefined;
      return account && { ...accountClaims(account, vo, now), ...loginClaim(records, token) };
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && source.scopes.has('offline_access'),
    loadExistingGrant: grantsByItself,
    clientBasedCORS: () => false,
    clientAuthMethods: ['none'],
    enabledJWA: { idTokenSigningAlgValues: ['RS256'], userinfoSigningAlgValues: ['RS256'] },
    responseTypes: ['code'],
    cookies: {
      keys: [...cookieKeys],
      long: { ...SESSION_COOKIE },
      // The path of these is the page's own.
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
      names: { session: 'panda_session', interaction: 'panda_interaction', resume: 'panda_interaction_resume' },
    },
    ttl: {
      AccessToken: ID_TOKEN_SECONDS,
      IdToken: ID_TOKEN_SECONDS,
      AuthorizationCode: 60,
      DeviceCode: DEVICE_CODE_SECONDS,
      Interaction: INTERACTION_SECONDS,
      RefreshToken: REFRESH_TOKEN_SECONDS,
      Grant: REFRESH_TOKEN_SECONDS,
      Session: SESSION_SECONDS,
    },
    interactions: {
      policy: interactionPolicy(),
      url: (_ctx, { uid }) => `${INTERACTION_PATH}/${uid}`,
    },
    renderError: pages.renderError,
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      revocation: { enabled: true, allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId },
      deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****', ...pages.deviceFlow },
      rpInitiatedLogout: { enabled: true, ...pages.signOut },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_ctx, resource) {
          if (resource !== apiResource(url)) throw new errors.InvalidTarget();
          return {
            scope: 'panda',
            audience: AUDIENCE,
            accessTokenFormat: 'jwt',
            accessTokenTTL: ID_TOKEN_SECONDS,
            jwt: { sign: { alg: 'RS256' } },
          };
        },
        useGrantedResource: () => false,
      },
    },
  };
}

/** The claims of an account's tokens; none of one that is disabled or removed. */
function accountFinder({
  store,
  records,
  vo,
  clock,
}: {
  store: Store;
  records: OwnRecords;
  vo: string;
  clock: () => number;
}): FindAccount {
  return async (_ctx, subject, token) => {
    // Before the account is read: when it is logged out meanwhile, the token is of before.
    const now = clock();
    const account = await findActiveAccount(store, subject);
    if (!account) return undefined;
    const claims = { sub: account.subject, ...accountClaims(account, vo, now), ...loginClaim(records, token) };
    return { accountId: account.subject, claims: () => claims };
  };
}

function accountClaims(
  { name, displayName }: { name: string; displayName: string },
  vo: string,
  now: number,
): Omit<AccountClaims, 'sub'> {
  return { name: displayName, preferred_username: name, groups: [vo], [ISSUED_AT_CLAIM]: now };
}

/** Names the login that a token is of, so that it is void once that was ended. */
function loginClaim(records: OwnRecords, token: object | undefined): Record<string, string> {
  const grantId = token && 'grantId' in token ? token.grantId : undefined;
  return typeof grantId === 'string' ? { [LOGIN_CLAIM]: records.hash(grantId) } : {};
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/**
 * The programs that may log people in. `pbook`, `prun` and PanDA's own clients are one public client (RFC 8252): by device
 * code, or, for a program on the person's own machine, by authorization code with PKCE to any port of the loopback address.
 */
const CLIENTS: readonly ClientMetadata[] = [
  {
    client_id: COMMAND_LINE_CLIENT,
    client_name: 'PanDA command line (pbook, prun)',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: [DEVICE_GRANT, 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
    scope: 'openid profile email offline_access panda',
  },
];
