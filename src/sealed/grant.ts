import { toBase64url } from '../protocol/base64url.ts';
import {
  MAX_ASKED_MEGABYTES,
  MAX_GRANT_CHARS,
  MAX_JOB_PARAMETERS_CHARS,
  MAX_JOBS_PER_TASK,
  MAX_MAX_ATTEMPTS,
  MAX_OUTPUTS_PER_JOB,
  MAX_SEALED_SITES,
  MAX_SECRETS_PER_OWNER,
  MAX_SOURCE_URL_CHARS,
  MAX_WALLTIME_HOURS,
} from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { SECRET_FORMS, type SecretForm } from '../protocol/secret-forms.ts';
import { isAgeRecipient } from '../sealing/hybrid-age.ts';
import { WIRE_NAME } from './envelope.ts';
import { integer, list, object, orNull, type Readout, readExact, text, where, writeExact } from './exact-json.ts';
import { isSignedBy, type Signer, signed, takeApart } from './signed.ts';
import { SITE_ID } from './site-id.ts';
import { AGE_RECIPIENT, PUBLIC_KEY, readOr } from './site-record.ts';

/** Pieces of a task's parameters: more are no command. */
const MAX_PIECES = 10_000;

const TEMPLATE = object({
  parameters: list(
    object({
      text: text(MAX_JOB_PARAMETERS_CHARS),
      firstNumber: integer(0, Number.MAX_SAFE_INTEGER - MAX_JOBS_PER_TASK),
    }),
    MAX_PIECES,
  ),
  /** Templates of file names. */
  outputs: list(text(1024), MAX_OUTPUTS_PER_JOB),
  log: text(1024),
  sourceUrl: text(MAX_SOURCE_URL_CHARS),
  /** Hex; null for a task without a sandbox. */
  sandboxSha256: orNull(text(64, /^[0-9a-f]{64}$/)),
  secretForms: list(text(16) as (value: unknown) => SecretForm, SECRET_FORMS.length),
  /** 0 for no limit. */
  maxWalltimeSeconds: integer(0, MAX_WALLTIME_HOURS * 3600),
  coreCount: integer(1, 4096),
  /** MB, 0 where none was asked for. */
  memory: integer(0, MAX_ASKED_MEGABYTES * 4096),
  disk: integer(0, MAX_ASKED_MEGABYTES * 1024),
});

const GRANT = where(
  object({
    /** The owner's signing key. */
    signer: PUBLIC_KEY,
    task: integer(1, Number.MAX_SAFE_INTEGER),
    template: where(TEMPLATE, ({ secretForms }) => isInOrder(secretForms)),
    jobs: integer(1, MAX_JOBS_PER_TASK),
    /** Times that each job may be run under this grant. */
    attempts: integer(1, MAX_MAX_ATTEMPTS),
    sites: list(SITE_ID, MAX_SEALED_SITES),
    /** By their names as bytes, each once. */
    secrets: list(object({ name: WIRE_NAME, atLeast: integer(1, Number.MAX_SAFE_INTEGER) }), MAX_SECRETS_PER_OWNER),
    /** The recipient that results are sealed for; null for results as they are. */
    results: orNull(where(AGE_RECIPIENT, isAgeRecipient)),
    /** 16 random bytes. */
    nonce: text(22, /^[\w-]{21}[AQgw]$/),
    /** Seconds since 1970 UTC. */
    end: integer(0, 253_402_300_799),
  }),
  ({ sites, secrets }) => isSorted(sites) && sites.length > 0 && isSorted(secrets.map(({ name }) => name)),
);

/** The user's permission for one task: its command, for so many jobs, at these sites, with these secrets, until then. */
export type Grant = Readout<typeof GRANT>;

/** The content of a grant; its signer, its order and, unless given, its nonce are seen to. */
export type GrantContent = Omit<Grant, 'signer' | 'nonce'>;

/** @param randomness 16 random bytes, never used before */
export function makeGrant(signer: Signer, content: GrantContent, randomness: Uint8Array): string {
  const grant: Grant = {
    ...content,
    sites: sorted([...new Set(content.sites)], (id) => id),
    secrets: sorted(content.secrets, ({ name }) => name),
    signer: signer.publicKey,
    nonce: toBase64url(randomness),
  };
  return signed(signer, 'grant', writeExact(grant, GRANT));
}

/**
 * Reads a grant that anybody may have sent: it is signed by the key that it names.
 *
 * @throws {SealedRefusal} `sealed-too-large`, `grant-format`, `grant-forged`
 */
export function readGrant(word: string): Grant {
  if (word.length > MAX_GRANT_CHARS) throw new SealedRefusal('sealed-too-large');
  const parts = takeApart(word);
  if (!parts) throw new SealedRefusal('grant-format');
  const grant = readOr('grant-format', () => readExact(parts.payload, GRANT));
  if (!isSignedBy(grant.signer, 'grant', parts.payload, parts.signature)) throw new SealedRefusal('grant-forged');
  return grant;
}

function isInOrder(forms: readonly SecretForm[]): boolean {
  const known = SECRET_FORMS.filter((form) => forms.includes(form));
  return known.length > 0 && known.length === forms.length && known.every((form, place) => form === forms[place]);
}

function isSorted(names: readonly string[]): boolean {
  return names.every((name, place) => place === 0 || compareBytes(names[place - 1] ?? '', name) < 0);
}

function sorted<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return [...items].sort((a, b) => compareBytes(nameOf(a), nameOf(b)));
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
