import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, errors, importJWK, type JWK, type JWTPayload, type JWTVerifyGetKey, SignJWT } from 'jose';
import { InvalidArgument } from '../protocol/errors.ts';
import type { Account } from './accounts.ts';
import { type Caller, EMBEDDED_ISSUER_ID } from './caller.ts';
import { checkLauncherToken, type Launcher, launcherIdOf, launcherSubject } from './launchers.ts';
import type { SigningKey, SigningKeySet, SigningKeys } from './signing-keys.ts';
import { type TrustedIssuer, voidToken } from './tokens.ts';

/** The `aud` of tokens for this server's API. */
export const AUDIENCE = 'panda-secrets';
/** The client of the OpenID provider that `pbook`, `prun` and PanDA's own clients are: the `aud` of their ID tokens. */
export const COMMAND_LINE_CLIENT = 'pbook';
const PILOT_ROLE = 'pilot';
const LAUNCHER_ROLE = 'launcher';
/**
 * When a token was issued, in milliseconds. `iat` has seconds: a token that is made in the second of a new password, after it, would
 * not be told from one before.
 */
export const ISSUED_AT_CLAIM = 'iat_ms';

/** The login of which a token is, where it is of one: `Logins` knows it by that. */
export const LOGIN_CLAIM = 'login_id';

/** The issuer that every installation has: it signs tokens for accounts of the store and for pilots. */
export interface EmbeddedIssuer {
  /** For the token verifier: the tokens that this module makes. */
  readonly trusted: TrustedIssuer;
  /** The same, and the tokens of the OpenID provider, whose `iss` is `url`: a person has one owner, however they log in. */
  trustedAlsoAs(url: string): TrustedIssuer;
  /** The keys that sign, for the OpenID provider, whose tokens are of the same issuer under its URL. */
  readonly signingKeys: SigningKeys;
  /**
   * A user's token, `ttlSeconds` long, for a member of `vo`.
   *
   * @throws {InvalidArgument} when the time is not positive or the VO is not a name
   */
  mintUserToken(
    account: { name: string; subject: string; displayName: string },
    options: { ttlSeconds: number; vo: string },
  ): Promise<string>;
  /** A token for pilots of one queue; each token is another pilot. @throws {InvalidArgument} as `mintUserToken` */
  mintPilotToken(options: { queue: string; ttlSeconds: number; vo: string }): Promise<string>;
  /** A launcher's token. Its queues are looked up, not carried. @throws {InvalidArgument} as `mintUserToken` */
  mintLauncherToken(
    launcher: Pick<Launcher, 'id' | 'name'>,
    options: { ttlSeconds: number; vo: string },
  ): Promise<string>;
}

/**
 * The embedded issuer with these signing keys. `clock` is in milliseconds. `findAccount` answers the account with a `sub`, or
 * undefined when it may not be used; without it all are users, and tokens of a removed account are good until they end.
 */
export async function openEmbeddedIssuer({
  signingKeys,
  clock,
  findAccount,
  findLauncher = async () => undefined,
  isLoginThere = async () => true,
}: {
  signingKeys: SigningKeys;
  clock: () => number;
  findAccount?: (subject: string) => Promise<Pick<Account, 'role' | 'tokensFrom'> | undefined>;
  /** The launcher with an id; without it there is none. */
  findLauncher?: (id: string) => Promise<Launcher | undefined>;
  /** False when a login was ended: its tokens are void. */
  isLoginThere?: (login: string) => Promise<boolean>;
}): Promise<EmbeddedIssuer> {
  const { issuer } = await signingKeys.current();

  async function mint(claims: JWTPayload & { sub: string }, ttlSeconds: number): Promise<string> {
    if (!Number.isFinite(ttlSeconds) || ttlSeconds <= 0) {
      throw new InvalidArgument(`a token's lifetime must be more than 0 seconds, not ${ttlSeconds}`);
    }
    const { key, kid } = await signingKeyOf(await signingKeys.current());
    const now = Math.floor(clock() / 1000);
    return new SignJWT({ ...claims, [ISSUED_AT_CLAIM]: clock() })
      .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(AUDIENCE)
      .setIssuedAt(now)
      .setExpirationTime(now + Math.ceil(ttlSeconds))
      .setJti(randomUUID())
      .sign(key);
  }

  async function launcherAsOfNow(caller: Caller, claims: JWTPayload): Promise<Caller | undefined> {
    const launcher = await findLauncher(launcherIdOf(caller));
    if (!launcher) return undefined;
    checkLauncherToken(launcher, issuedAt(claims));
    return { ...caller, queues: launcher.queues, issuedAt: issuedAt(claims) };
  }

  const trusted: TrustedIssuer = {
    issuer,
    id: EMBEDDED_ISSUER_ID,
    audience: [AUDIENCE],
    keys: verifyingKeys(signingKeys),
    queuesOf: pilotQueues,
    isLauncher: (_claims, groups) => groups.some((group) => group.endsWith(`/${LAUNCHER_ROLE}`)),
    ...(findAccount && {
      async asOfNow(caller: Caller, claims: JWTPayload) {
        if (caller.kind === 'pilot') return { ...caller, issuedAt: issuedAt(claims) };
        if (caller.kind === 'launcher') return launcherAsOfNow(caller, claims);
        const account = await findAccount(caller.subject);
        if (!account) return undefined;
        const login = claims[LOGIN_CLAIM];
        const isOfLogin = typeof login === 'string';
        if (issuedAt(claims) < account.tokensFrom || (isOfLogin && !(await isLoginThere(login)))) throw voidToken();
        return { ...caller, kind: account.role, ...(isOfLogin && { login }) };
      },
    }),
  };

  return {
    trusted,
    trustedAlsoAs: (url) => ({ ...trusted, otherNames: [url], audience: [AUDIENCE, COMMAND_LINE_CLIENT] }),
    signingKeys,
    mintUserToken: ({ name, subject, displayName }, { ttlSeconds, vo }) =>
      mint({ sub: subject, name: displayName, preferred_username: name, groups: [voName(vo)] }, ttlSeconds),
    mintPilotToken: ({ queue, ttlSeconds, vo }) =>
      mint(
        {
          sub: `pilot:${queue}:${randomUUID()}`,
          name: `pilot of ${queue}`,
          queues: [queue],
          groups: [`${voName(vo)}/${PILOT_ROLE}`],
        },
        ttlSeconds,
      ),
    mintLauncherToken: ({ id, name }, { ttlSeconds, vo }) =>
      mint(
        { sub: launcherSubject(id), name: `launcher ${name}`, groups: [`${voName(vo)}/${LAUNCHER_ROLE}`] },
        ttlSeconds,
      ),
  };
}

async function signingKeyOf({ keys }: SigningKeySet) {
  const [newest] = keys as [SigningKey, ...SigningKey[]];
  return { key: await importJWK(newest, 'RS256'), kid: newest.kid };
}

/** The public keys, also one that another server has just begun to sign with. */
function verifyingKeys(signingKeys: SigningKeys): JWTVerifyGetKey {
  const sets = new WeakMap<SigningKeySet, JWTVerifyGetKey>();
  function setOf(file: SigningKeySet): JWTVerifyGetKey {
    const set = sets.get(file) ?? createLocalJWKSet({ keys: file.keys.map(publicPart) });
    sets.set(file, set);
    return set;
  }
  return async (header, token) => {
    try {
      return await setOf(await signingKeys.current())(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return setOf(await signingKeys.latest())(header, token);
    }
  };
}

function publicPart({ kty, n, e, kid, alg, use }: SigningKey): JWK {
  return { kty, n, e, kid, alg, use } as JWK;
}

function issuedAt(claims: JWTPayload): number {
  const exactly = claims[ISSUED_AT_CLAIM];
  return typeof exactly === 'number' ? exactly : (claims.iat ?? 0) * 1000;
}

function pilotQueues(claims: JWTPayload, groups: readonly string[]): string[] | undefined {
  const queues = claims['queues'];
  if (!groups.some((group) => group.endsWith(`/${PILOT_ROLE}`))) return undefined;
  return Array.isArray(queues) ? queues.filter((queue) => typeof queue === 'string') : [];
}

/** A VO with a slash would be a role. */
function voName(vo: string): string {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(vo)) return vo;
  throw new InvalidArgument(`"${vo}" is not the name of a VO: letters, digits, ".", "_" and "-", at most 64`);
}
