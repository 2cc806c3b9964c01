import { MAX_PROOFS_AT_ONCE, PATIENT_PROOF_MILLISECONDS } from '../protocol/limits.ts';
import { type ProofRow, setPilotSeen, takeProofs } from '../store/pilots.ts';
import type { Store } from '../store/store.ts';

/** A proof that is to be taken. */
export interface NewProof extends ProofRow {
  /** The time at which its pilot is noted as seen, milliseconds since 1970 UTC; undefined where it was noted not long ago. */
  seenAt: number | undefined;
}

interface Waiting extends NewProof {
  taken(isFirst: boolean): void;
  failed(error: unknown): void;
}

/**
 * Takes proofs of pilots, each once on whichever of the servers of a store, durably. Those that have time are written together, a moment later or with the
 * next one that has none: a write to the disk costs more than all else of a small request.
 *
 * @returns takes one; false when it was taken before
 */
export function proofTaker(store: Pick<Store, 'write'>) {
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  function writeWaiting(): void {
    clearTimeout(timer);
    timer = undefined;
    const proofs = waiting;
    waiting = [];
    write(proofs).then(
      (taken) => {
        // Of two that are the same, one is the first.
        for (const one of proofs) one.taken(taken.delete(keyOf(one)));
      },
      (error) => {
        for (const one of proofs) one.failed(error);
      },
    );
  }

  /** In one order, so that two servers which are sent the same proofs do not wait for each other in a circle. */
  async function write(wanted: readonly NewProof[]): Promise<Set<string>> {
    const rows = [...new Map(wanted.map((one) => [keyOf(one), one])).entries()].sort(byKey).map(([, one]) => one);
    const proofs = rows.map(({ pilot_id, jti, expires_at }) => ({ pilot_id, jti, expires_at }));
    return store.write(async (tx) => {
      const taken = new Set((await takeProofs(tx, { proofs })).map((row) => keyOf(row)));
      const seen = new Map<string, number>();
      for (const row of rows) if (row.seenAt !== undefined && taken.has(keyOf(row))) seen.set(row.pilot_id, row.seenAt);
      for (const [id, now] of [...seen].sort(byKey)) await setPilotSeen(tx, { id, now });
      return taken;
    });
  }

  return {
    take(proof: NewProof, { hasTime }: { hasTime: boolean }): Promise<boolean> {
      return new Promise((taken, failed) => {
        waiting.push({ ...proof, taken, failed });
        if (!hasTime || waiting.length >= MAX_PROOFS_AT_ONCE) writeWaiting();
        else timer ??= setTimeout(writeWaiting, PATIENT_PROOF_MILLISECONDS);
      });
    },
  };
}

function keyOf({ pilot_id, jti, expires_at }: ProofRow): string {
  return `${expires_at}.${pilot_id}.${jti}`;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
