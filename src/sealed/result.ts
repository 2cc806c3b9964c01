import { MAX_JOBS_PER_TASK, MAX_MAX_ATTEMPTS, MAX_SIGNED_CHARS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { flag, integer, object, type Read, type Readout, readExact, text, writeExact } from './exact-json.ts';
import { isSignedBy, type Signer, signed, takeApart } from './signed.ts';
import { readOr } from './site-record.ts';

const KINDS = ['log', 'live', 'output'] as const;

const RESULT = object({
  /** The grant's. */
  nonce: text(22, /^[\w-]{22}$/),
  serial: integer(1, MAX_JOBS_PER_TASK),
  /** Counted from the grant's beginning. */
  attempt: integer(1, MAX_MAX_ATTEMPTS),
  /** `log` and `output`: the whole file; `live`: a part of the log while the job runs. */
  kind: text(6, /^(log|live|output)$/) as Read<(typeof KINDS)[number]>,
  /** Under which it is brought back. */
  name: text(255),
  /** Of a live part, from 0; 0 of a whole file. */
  seq: integer(0, Number.MAX_SAFE_INTEGER),
  /** True of a whole file, and of the last part. */
  last: flag,
  /** Hex, of the bytes as they are sent. */
  sha256: text(64, /^[0-9a-f]{64}$/),
});

/** A node's statement on something that a job brought back. */
export type Result = Readout<typeof RESULT>;

export function makeResult(signer: Signer, result: Result): string {
  return signed(signer, 'result', writeExact(result, RESULT));
}

/**
 * @param signers of the nodes of the site, as its records have them
 * @param expected what its reader knows; other fields may be anything
 * @throws {SealedRefusal} `result-format`, `result-forged`, `result-other`
 */
export function readResult(word: string, signers: readonly string[], expected: Partial<Result>): Result {
  const parts = word.length <= MAX_SIGNED_CHARS ? takeApart(word) : undefined;
  if (!parts) throw new SealedRefusal('result-format');
  const result = readOr('result-format', () => readExact(parts.payload, RESULT));
  if (!signers.some((signer) => isSignedBy(signer, 'result', parts.payload, parts.signature))) {
    throw new SealedRefusal('result-forged');
  }
  for (const [field, value] of Object.entries(expected)) {
    if (result[field as keyof Result] !== value) throw new SealedRefusal('result-other');
  }
  return result;
}
