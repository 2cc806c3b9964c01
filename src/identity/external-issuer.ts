import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, type RemoteJWKSet } from 'jose';
import { Misconfigured, Unavailable } from '../protocol/errors.ts';
import {
  ISSUER_KEYS_KEPT_SECONDS,
  ISSUER_KEYS_REFRESH_SECONDS,
  ISSUER_RETRY_SECONDS,
  ISSUER_TIMEOUT_SECONDS,
} from '../protocol/limits.ts';
import type { Caller } from './caller.ts';
import type { OutsideName, OutsideUser } from './outside-users.ts';
import { type TrustedIssuer, voidToken } from './tokens.ts';

/** A site's own issuer (INDIGO IAM, CILogon, Keycloak), as the operator configures it. */
export interface ExternalIssuer {
  /** The `iss` of its tokens; where `jwksUri` is not set, also where its discovery document is found. */
  issuer: string;
  /** The `aud` or `client_id` that its tokens for this server carry: one of these. */
  audience: readonly string[];
  /** Where its keys are, when not as its discovery document says. */
  jwksUri?: string;
  /** The stable name that its owners are kept under; `issuer` unless it has moved. */
  id?: string;
  nameClaim?: string;
  groupsClaim?: string;
  /** The groups (`VO/ROLE`) whose members are pilots, each with the queues that they serve. Without it none is. */
  pilots?: Readonly<Record<string, readonly string[]>>;
  /** The groups (`VO/ROLE`) whose members are operators. Without it none is. A member who is a pilot as well is a pilot. */
  operators?: readonly string[];
  /** The VO whose members log in there, and as which of the issuer's clients. Without it `pbook login` does not. */
  login?: { vo: string; clientId: string; clientSecret?: string };
}

/**
 * Makes an issuer trusted whose keys are fetched when its first token comes, and kept. Nothing is asked of it before, so
 * one that is down holds up its own callers alone. `clock` is in milliseconds.
 *
 * @throws {Misconfigured} when an address is neither https nor on this machine, or no audience is given
 */
export function trustExternalIssuer(
  { issuer, audience, jwksUri, id = issuer, nameClaim, groupsClaim, pilots, operators }: ExternalIssuer,
  {
    clock,
    findUser,
  }: {
    clock: () => number;
    /** Somebody who called before. Without it nobody is stopped or logged out here. */
    findUser?: (name: OutsideName) => Promise<Pick<OutsideUser, 'blocked' | 'tokensFrom'> | undefined>;
  },
): TrustedIssuer {
  if (audience.length === 0) throw new Misconfigured(`the issuer ${issuer} needs an audience`);
  const configured = secureUrl(jwksUri ?? discoveryAddress(issuer));
  if (!configured) throw new Misconfigured(`the issuer ${jwksUri ?? issuer} is not an https address`);
  return {
    issuer,
    id,
    audience,
    keys: fetchedKeys(issuer, jwksUri ? async () => configured : () => discoverKeys(issuer, configured), clock),
    ...(nameClaim !== undefined && { nameClaim }),
    ...(groupsClaim !== undefined && { groupsClaim }),
    ...(operators !== undefined && {
      isOperator: (groups: readonly string[]) => groups.some((group) => operators.includes(group)),
    }),
    ...(findUser && {
      async asOfNow(caller: Caller, claims: JWTPayload) {
        const user = await findUser({ issuer: id, subject: caller.subject });
        if (user?.blocked) return undefined;
        if (user && (claims.iat ?? 0) * 1000 < user.tokensFrom) throw voidToken();
        return caller;
      },
    }),
    queuesOf(_claims, groups) {
      const served = groups.filter((group) => pilots && Object.hasOwn(pilots, group));
      return served.length > 0 ? [...new Set(served.flatMap((group) => pilots?.[group] ?? []))] : undefined;
    },
  };
}

/**
 * The keys of an issuer: fetched anew after `ISSUER_KEYS_REFRESH_SECONDS` or when a token names one not seen before, never
 * oftener than each `ISSUER_RETRY_SECONDS`. While the issuer cannot be reached the last ones stay in use for
 * `ISSUER_KEYS_KEPT_SECONDS`.
 */
function fetchedKeys(issuer: string, locate: () => Promise<URL>, clock: () => number): JWTVerifyGetKey {
  let keys: RemoteJWKSet | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failure: unknown;
  let refreshing: Promise<void> | undefined;

  const older = (time: number, seconds: number) => clock() >= time + seconds * 1000;
  /** So, too, where the clock was set back. */
  const isDue = (time: number, seconds: number) => older(time, seconds) || clock() < time;

  async function fetchKeys(): Promise<void> {
    triedAt = clock();
    try {
      // When to fetch is decided here, not there.
      const fetched = createRemoteJWKSet(await locate(), {
        timeoutDuration: ISSUER_TIMEOUT_SECONDS * 1000,
        cacheMaxAge: Number.POSITIVE_INFINITY,
        cooldownDuration: Number.POSITIVE_INFINITY,
      });
      await fetched.reload();
      keys = fetched;
      fetchedAt = clock();
    } catch (error) {
      failure = error;
    }
  }

  async function refresh(): Promise<void> {
    if (!refreshing && !isDue(triedAt, ISSUER_RETRY_SECONDS)) return;
    refreshing ??= fetchKeys().finally(() => {
      refreshing = undefined;
    });
    await refreshing;
  }

  return async (header, token) => {
    if (isDue(fetchedAt, ISSUER_KEYS_REFRESH_SECONDS)) await refresh();
    if (!keys || older(fetchedAt, ISSUER_KEYS_KEPT_SECONDS)) {
      throw new Unavailable(`the token's issuer ${issuer} does not answer, so it cannot be checked; try again later`, {
        cause: failure,
      });
    }
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      return keys(header, token);
    }
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discoverKeys(issuer: string, address: URL): Promise<URL> {
  const signal = AbortSignal.timeout(ISSUER_TIMEOUT_SECONDS * 1000);
  const response = await fetch(address, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  const document = Object(await response.json()) as Record<string, unknown>;
  if (document['issuer'] !== issuer) throw new Error(`${address} is of another issuer`);
  const found = secureUrl(String(document['jwks_uri']));
  if (!found) throw new Error(`${address} names no https address of its keys`);
  return found;
}

function discoveryAddress(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/** Keys that came over plain http could be anybody's, except from this machine. */
function secureUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  const local = url?.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  return url && (url.protocol === 'https:' || local) ? url : undefined;
}
