import { hash } from 'node:crypto';
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTHeaderParameters,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
  type ResolvedKey,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { Misconfigured, PandaError, Unauthenticated } from '../protocol/errors.ts';
import {
  ACCOUNT_RECHECK_SECONDS,
  CLOCK_TOLERANCE_SECONDS,
  ISSUER_KEYS_REFRESH_SECONDS,
  MAX_PROVEN_TOKENS,
  MAX_REMEMBERED_TOKENS,
} from '../protocol/limits.ts';
import { ReturningCache } from '../store/returning.ts';
import { type Caller, callerFromClaims, EMBEDDED_ISSUER_ID, type IssuerClaims } from './caller.ts';

/** An issuer whose tokens this server takes. */
export interface TrustedIssuer extends IssuerClaims {
  /** The `iss` of its tokens, compared character by character. */
  readonly issuer: string;
  /** Other values of `iss` that are this issuer's as well. */
  readonly otherNames?: readonly string[];
  /** A token must be for one of these: in `aud`, or in `client_id` where it has no `aud`. */
  readonly audience: readonly string[];
  /**
   * The public key for a token's header. An implementer owes that it never takes a key from the token itself.
   *
   * @throws {Unavailable} when the issuer's keys cannot be had now
   */
  readonly keys: JWTVerifyGetKey;
  /**
   * The caller as its account has it now, or undefined when the account may not be used; asked again every
   * `ACCOUNT_RECHECK_SECONDS`. Without it the token alone counts.
   *
   * @throws {Unauthenticated} when the token itself is void, {@link voidToken}
   */
  asOfNow?(caller: Caller, claims: JWTPayload): Promise<Caller | undefined>;
}

export interface TokenVerifier {
  /**
   * The caller that a bearer token (without the word `Bearer`) stands for. A checked one is remembered until it ends, so that each
   * further request that carries it costs one look-up.
   *
   * @throws {Unauthenticated} when there is none or it does not prove who is calling; the message says why
   * @throws {Unavailable} when its issuer's keys cannot be had now
   */
  verify(token: string | undefined): Promise<Caller>;
  /** True when a token was found good before, when it was last looked at, and has not ended: {@link verify} has no signature to check, but may look at its account. */
  isKnown(token: string): boolean;
}

/**
 * A verifier of JWTs (RFC 7519, with the precautions of RFC 8725) against a list of issuers. `clock` is in milliseconds.
 *
 * @throws {Misconfigured} when two issuers would be taken for one
 */
export function createTokenVerifier({
  issuers,
  clock,
  maxRemembered = MAX_REMEMBERED_TOKENS,
}: {
  issuers: readonly TrustedIssuer[];
  clock: () => number;
  maxRemembered?: number;
}): TokenVerifier {
  const trusted = issuersByName(issuers);
  const remembered = new ReturningCache<{ caller: Caller; from: number; until: number }>({ max: maxRemembered });
  /** The key that signed a token, by the token's digest: many more than are remembered whole, as a signature costs most to check. */
  const signers = new LRUCache<string, ResolvedKey['key']>({ max: MAX_PROVEN_TOKENS });

  /** A token's claims. Its signature is not checked again while its issuer has the key that made it. */
  async function claimsOf(token: string, { header, claims }: Unchecked, issuer: TrustedIssuer, now: number) {
    const digest = digestOf(token);
    const signer = signers.get(digest);
    if (signer && isInTime(claims, now) && (await keyOf(token, header, issuer)) === signer) return claims;
    const checked = await checkedClaims(token, issuer, now);
    signers.set(digest, checked.key);
    return checked.claims;
  }

  /** A token that its issuer's keys, and its account, are found to stand behind now. */
  async function lookedAt(
    token: string,
    now: number,
  ): Promise<{ caller: Caller; claims: Claims; issuer: TrustedIssuer }> {
    const unchecked = readUnchecked(token);
    const issuer = issuerOf(unchecked, trusted);
    try {
      const claims = await claimsOf(token, unchecked, issuer, now);
      const claimed = callerFromClaims(claims, issuer);
      const caller = issuer.asOfNow ? await issuer.asOfNow(claimed, claims) : claimed;
      if (!caller) throw new Unauthenticated("the token's account was disabled or removed");
      return { caller, claims, issuer };
    } catch (error) {
      if (error instanceof Unauthenticated) signers.delete(digestOf(token));
      throw error;
    }
  }

  return {
    isKnown(token) {
      return signers.has(digestOf(token)) && isInTime(decodeJwt(token), clock());
    },

    async verify(token) {
      if (!token) throw new Unauthenticated('no token: send Authorization: Bearer');
      const now = clock();
      const known = remembered.get(token);
      if (known && known.from <= now && now < known.until) return known.caller;
      if (known) remembered.delete(token);

      const { caller, claims, issuer } = await lookedAt(token, now);
      const until = (claims.exp + CLOCK_TOLERANCE_SECONDS) * 1000;
      remembered.set(token, {
        caller,
        // A clock that is set back puts off no look at the account.
        from: now,
        // An account that is disabled, or a key that its issuer withdrew, ends what was remembered.
        until: Math.min(until, now + (issuer.asOfNow ? ACCOUNT_RECHECK_SECONDS : ISSUER_KEYS_REFRESH_SECONDS) * 1000),
      });
      return caller;
    },
  };
}

/** For a token that was issued before all of that person's were made void. */
export function voidToken(): Unauthenticated {
  return new Unauthenticated(
    'the token is void: its login was ended, or since it was issued its user was logged out, was stopped or got a new password. ' +
      'Log in again',
  );
}

/** Public-key signatures alone: with a shared-secret algorithm, a public key would do as the secret (RFC 8725, 2.1). */
const ALGORITHMS = ['RS256', 'ES256', 'PS256', 'EdDSA'];
/** ID tokens and access tokens; not the other things that issuers sign, such as logout tokens (RFC 8725, 3.11). */
const TYPES = ['jwt', 'at+jwt'];

function issuersByName(issuers: readonly TrustedIssuer[]): Map<string, TrustedIssuer> {
  const named = issuers.flatMap((issuer) => namesOf(issuer).map((name) => [name, issuer] as const));
  const byName = new Map(named);
  const ids = new Set(issuers.map(({ id }) => id));
  if (byName.size < named.length || ids.size < issuers.length) {
    throw new Misconfigured('two trusted issuers have the same name: each needs an "issuer" and an "id" of its own');
  }
  return byName;
}

function namesOf({ issuer, otherNames = [] }: TrustedIssuer): string[] {
  return [issuer, ...otherNames];
}

/** The issuer that a token, whose signature is not checked yet, says it is from. */
function issuerOf({ header, claims }: Unchecked, trusted: Map<string, TrustedIssuer>): TrustedIssuer {
  const { alg, typ }: { alg?: unknown; typ?: unknown } = header;
  const iss: unknown = claims.iss;
  if (typeof alg !== 'string' || alg.toLowerCase() === 'none') {
    throw new Unauthenticated('the token is not signed (alg "none")');
  }
  if (!ALGORITHMS.includes(alg)) {
    throw new Unauthenticated(`the token is signed with ${shown(alg)}; taken are ${ALGORITHMS.join(', ')}`);
  }
  if (typ !== undefined && !TYPES.includes(String(typ).toLowerCase().replace('application/', ''))) {
    throw new Unauthenticated(`a token of the type ${shown(typ)} gives no access to a server`);
  }
  if (iss === undefined) throw new Unauthenticated('the token does not say who issued it: no "iss"');
  const issuer = typeof iss === 'string' ? trusted.get(iss) : undefined;
  if (!issuer) throw new Unauthenticated(`the token's issuer ${shown(iss)} is not trusted by this server`);
  return issuer;
}

/** What stands in a token, whoever wrote it. */
interface Unchecked {
  header: JWTHeaderParameters;
  claims: JWTPayload;
}

function readUnchecked(token: string): Unchecked {
  try {
    return { header: decodeProtectedHeader(token) as JWTHeaderParameters, claims: decodeJwt(token) };
  } catch {
    throw malformed();
  }
}

type Claims = JWTPayload & { exp: number };

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

/** Of a token that was found good before: what time changes. */
function isInTime(claims: JWTPayload, now: number): claims is Claims {
  const { nbf = 0, exp = 0 } = claims;
  return (nbf - CLOCK_TOLERANCE_SECONDS) * 1000 <= now && now < (exp + CLOCK_TOLERANCE_SECONDS) * 1000;
}

/** The issuer's key for a token; undefined where there is none, or more than one. @throws {Unavailable} */
async function keyOf(token: string, header: JWTHeaderParameters, issuer: TrustedIssuer) {
  const [encoded = '', payload = '', signature = ''] = token.split('.');
  try {
    return await issuer.keys(header, { protected: encoded, payload, signature });
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

async function checkedClaims(
  token: string,
  issuer: TrustedIssuer,
  now: number,
): Promise<{ claims: Claims; key: ResolvedKey['key'] }> {
  const options = {
    algorithms: ALGORITHMS,
    issuer: namesOf(issuer),
    requiredClaims: ['exp'],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(now),
  };
  try {
    const { payload, key } = await verifyWithAnyKey(token, issuer.keys, options);
    refuseOtherAudience(payload, issuer);
    return { claims: payload as Claims, key };
  } catch (error) {
    throw refusal(error, issuer);
  }
}

/** A token that names no key of an issuer that has several is good when one of them verifies it. */
async function verifyWithAnyKey(token: string, keys: JWTVerifyGetKey, options: Parameters<typeof jwtVerify>[2]) {
  try {
    return await jwtVerify(token, keys, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return { ...(await jwtVerify(token, key, options)), key };
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** `client_id` counts only where there is no `aud`: a token for another server stays one, also when a client of this server asked for it. */
function refuseOtherAudience(claims: JWTPayload, { audience }: TrustedIssuer): void {
  const named = claims.aud ?? claims['client_id'];
  const found: unknown[] = Array.isArray(named) ? named : [named];
  if (found.some((one) => typeof one === 'string' && audience.includes(one))) return;
  throw new Unauthenticated(
    named === undefined
      ? 'the token does not say which server it is for: no "aud"'
      : `the token is for another server (audience ${found.map(shown).join(', ')}); here it must be ${audience.join(' or ')}`,
  );
}

function refusal(error: unknown, { issuer, id }: TrustedIssuer): unknown {
  const maker = id === EMBEDDED_ISSUER_ID ? 'this server' : issuer;
  if (error instanceof PandaError) return error;
  if (error instanceof errors.JWTExpired) {
    return new Unauthenticated(`the token has expired (at ${moment(error.payload.exp)}); get a new one`);
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed') {
      return new Unauthenticated(
        `the token is not valid yet (from ${moment(error.payload.nbf)} on); check the clocks of both machines`,
      );
    }
    if (error.claim === 'exp' && error.reason === 'missing') {
      return new Unauthenticated('the token has no end: no "exp"');
    }
    return new Unauthenticated(`the token's "${error.claim}" is not usable`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new Unauthenticated(`the token's signature is wrong: ${maker} did not make it, or it was changed`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return new Unauthenticated(
      `the token was signed with a key that ${maker} does not have: it was made elsewhere, or before the keys were replaced`,
    );
  }
  return error instanceof errors.JOSEError ? malformed() : error;
}

function malformed(): Unauthenticated {
  return new Unauthenticated('the token is malformed: a signed JWT is three base64url parts joined by dots');
}

/** Part of a token in a message: short, and without anything that a terminal acts on. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  return /^[\x21-\x7e]{1,200}$/.test(text) ? text : JSON.stringify(text.slice(0, 200));
}

function moment(seconds: number | undefined): string {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString();
}
