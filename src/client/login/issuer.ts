import type { Configuration } from 'openid-client';
import { Misconfigured, PandaError, Unauthenticated, Unavailable } from '../../protocol/errors.ts';
import { LOGIN_REQUEST_SECONDS } from '../../protocol/limits.ts';
import type { TlsTrust } from '../tls-trust.ts';
import { createIssuerFetch } from './issuer-fetch.ts';

/** The server that somebody wants to call, which says where its users log in. */
export interface LoginServer {
  /** Its origin. */
  url: string;
  /** The VO, with its role if any. */
  vo: string;
  trust: Partial<TlsTrust>;
  /** Told of a server, or an issuer, that is silent (`ConnectionOptions`). */
  onSilence?: (origin: string) => void;
}

/** An issuer that was found, and this client of it. */
export interface Issuer {
  openid: typeof import('openid-client');
  configuration: Configuration;
  /** The audience that tokens are asked for. */
  audience: string;
}

/**
 * Does `work` with the issuer at which the members of a VO log in: as the server's `/auth/VO_auth_config.json` says, and then
 * by standard discovery.
 *
 * @throws {Unavailable} when the server or the issuer does not answer
 * @throws {Misconfigured} when the server has no login for the VO, or the issuer is not one that can be used
 * @throws {Unauthenticated} when the issuer refuses
 */
export async function withIssuer<T>(server: LoginServer, work: (issuer: Issuer) => Promise<T>): Promise<T> {
  const { fetch, close } = createIssuerFetch(server.trust, server.onSilence);
  try {
    const { clientId, clientSecret, address, audience } = await fetchAuthConfig(server, fetch);
    const openid = await import('openid-client');
    const configuration = await openid.discovery(
      address,
      clientId,
      undefined,
      clientSecret ? openid.ClientSecretPost(clientSecret) : openid.None(),
      { [openid.customFetch]: fetch, timeout: LOGIN_REQUEST_SECONDS, execute: [openid.allowInsecureRequests] },
    );
    return await work({ openid, configuration, audience });
  } catch (error) {
    throw explained(error);
  } finally {
    close();
  }
}

type Fetch = ReturnType<typeof createIssuerFetch>['fetch'];

async function fetchAuthConfig({ url, vo }: LoginServer, fetch: Fetch) {
  // The role is for calls; people log in as members.
  const name = vo.split(':', 1)[0] ?? vo;
  const place = new URL(`/auth/${encodeURIComponent(name)}_auth_config.json`, url);
  const response = await fetch(place.href, {
    method: 'GET',
    headers: { accept: 'application/json' },
    body: undefined,
    redirect: 'manual',
  });
  if (response.status === 404) {
    throw new Misconfigured(`${url} has no login for the VO "${name}": set PANDA_AUTH_VO to yours`);
  }
  const config = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined;
  const address = URL.parse(String(config?.['oidc_config_url']));
  const clientId = config?.['client_id'];
  if (response.status !== 200 || !address || typeof clientId !== 'string') {
    throw new Unavailable(
      `${place} does not say where to log in (HTTP ${response.status}): tell the server's operator`,
    );
  }
  const { client_secret: clientSecret, audience } = config ?? {};
  return {
    clientId,
    clientSecret: typeof clientSecret === 'string' ? clientSecret : '',
    address,
    audience: typeof audience === 'string' ? audience : '',
  };
}

/** Answers of the issuer, and failures of the library, as errors that say what to do. */
function explained(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof PandaError) return cause;
  }
  if (!(error instanceof Error)) return error;
  const { error: code, error_description: description } = error as { error?: unknown; error_description?: unknown };
  if (typeof code === 'string') {
    const reason = typeof description === 'string' ? `${code}: ${description}` : code;
    return new Unauthenticated(REFUSALS[code] ?? `the issuer refuses the login (${reason.slice(0, 200)})`);
  }
  if ('code' in error && typeof error.code === 'string' && error.code.startsWith('OAUTH_')) {
    return new Unavailable(`the issuer did not answer as OpenID Connect has it (${error.code}): ${error.message}`, {
      cause: error,
    });
  }
  return error;
}

const REFUSALS: Record<string, string> = {
  access_denied: 'the login was cancelled in the browser',
  expired_token: 'nobody confirmed the code in time: log in again with "pbook login"',
  invalid_grant: 'your login has ended: log in again with "pbook login"',
};
