import type { JWTPayload } from 'jose';
import { Unauthenticated } from '../protocol/errors.ts';
import { MAX_SHOWN_CHARS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';

/** The id that owners and pilots of the embedded issuer are kept under, whatever its `iss` is. */
export const EMBEDDED_ISSUER_ID = 'embedded';

/** The sender of a request, as its token proves. */
export interface Caller {
  /**
   * A pilot may acquire jobs; a user keeps secrets and submits tasks; an operator is a user who also administers; a launcher starts pilots of
   * its queues, and nothing else.
   */
  readonly kind: 'user' | 'operator' | 'pilot' | 'launcher';
  /** {@link IssuerClaims.id} of the issuer. */
  readonly issuer: string;
  /** `sub`: with `issuer`, who it is. */
  readonly subject: string;
  /** For show; never decides who owns a secret. */
  readonly displayName: string;
  /** `preferred_username`, which PanDA's clients name datasets after. */
  readonly nickname: string | undefined;
  /** `VO` or `VO/ROLE`. */
  readonly groups: readonly string[];
  /** When its token ends, milliseconds since 1970 UTC. */
  readonly expiresAt: number;
  /** The queues that a pilot serves, or a launcher starts pilots for; none for a user. */
  readonly queues: readonly string[];
  /** When its token was made, of a launcher and of a pilot whose token names its queue; milliseconds since 1970 UTC. */
  readonly issuedAt?: number;
  /** The login that its token is of, where the embedded provider gave it: `logins.ts` knows it by that. */
  readonly login?: string;
  /** Each of its requests proves that it is the pilot's own, whatever lies between: what it offers to seal to is its own too. */
  readonly proven?: true;
}

/** Rules for reading the claims of one issuer's tokens. */
export interface IssuerClaims {
  /** The stable name that its owners are kept under. */
  readonly id: string;
  /** The claim with the person's name; `name` unless set. */
  readonly nameClaim?: string;
  /** The claim with the list of groups; `groups`, else `wlcg.groups`, unless set. */
  readonly groupsClaim?: string;
  /** The queues that a pilot with these claims and groups serves, or undefined for a user. Without it all are users. */
  queuesOf?(claims: JWTPayload, groups: readonly string[]): readonly string[] | undefined;
  /** Tells a launcher by its claims and groups. Without it no token of the issuer makes one. */
  isLauncher?(claims: JWTPayload, groups: readonly string[]): boolean;
  /** Tells an operator by their groups. Without it no token of the issuer makes one. */
  isOperator?(groups: readonly string[]): boolean;
}

/**
 * The caller that the claims of a verified token stand for.
 *
 * @throws {Unauthenticated} when `sub` is missing, or is one that could be mistaken for another person's
 */
export function callerFromClaims(claims: JWTPayload & { exp: number }, issuer: IssuerClaims): Caller {
  const subject = subjectOf(claims);
  const groups = issuer.groupsClaim
    ? groupsOf(claims[issuer.groupsClaim])
    : groupsOf(claims['groups'] ?? claims['wlcg.groups']);
  const nickname = shownClaim(claims['preferred_username']);
  const queues = issuer.queuesOf?.(claims, groups);
  const kind = queues ? 'pilot' : issuer.isLauncher?.(claims, groups) ? 'launcher' : 'user';
  return {
    kind: kind === 'user' && issuer.isOperator?.(groups) ? 'operator' : kind,
    issuer: issuer.id,
    subject,
    displayName: shownClaim(claims[issuer.nameClaim ?? 'name']) ?? nickname ?? subject,
    nickname,
    groups,
    expiresAt: claims.exp * 1000,
    queues: queues ?? [],
  };
}

/** The name of a caller in what is kept, as a pilot's attempts and the audit: no two callers, of whichever issuers, have the same. */
export function callerId({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>): string {
  return issuer === EMBEDDED_ISSUER_ID ? subject : `${issuer}#${subject}`;
}

/** OpenID Connect Core, section 2. */
const MAX_SUBJECT_CHARS = 255;
const CONTROL = /\p{Cc}/u;

/** The databases keep neither NUL nor lone surrogates apart, so two such subjects could become one owner. */
function subjectOf({ sub }: JWTPayload): string {
  if (typeof sub !== 'string' || sub === '') throw new Unauthenticated('the token does not say whose it is: no "sub"');
  if (sub.length > MAX_SUBJECT_CHARS || CONTROL.test(sub) || !sub.isWellFormed()) {
    throw new Unauthenticated(
      `the token's "sub" is not usable: at most ${MAX_SUBJECT_CHARS} characters, none of them control characters`,
    );
  }
  return sub;
}

/** INDIGO IAM writes `VO/ROLE`, the WLCG profile `/VO/ROLE`. */
function groupsOf(claim: unknown): string[] {
  const list = Array.isArray(claim) ? claim : [claim];
  return list
    .filter((group) => typeof group === 'string')
    .map((group) => group.replace(/^\//, ''))
    .filter((group) => group !== '');
}

function shownClaim(claim: unknown): string | undefined {
  return typeof claim === 'string' ? shownText(claim, MAX_SHOWN_CHARS) || undefined : undefined;
}
