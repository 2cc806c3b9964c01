import { createHash } from 'node:crypto';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import {
  type AuditHead,
  type AuditRow,
  findAuditHead,
  insertAuditRow,
  listAuditRows,
  lockAuditHead,
  setAuditHead,
} from '../store/audit.ts';
import type { Database, Store } from '../store/store.ts';

/** What an audit entry tells of. */
export type AuditAction =
  | 'secret.set'
  | 'secret.restore'
  | 'secret.delete'
  | 'secret.delete_all'
  | 'secret.deliver'
  | 'owner.destroy';

/** `owner`, `operator`, or `pilot:` and the pilot's id. */
export type AuditActor = 'owner' | 'operator' | `pilot:${string}`;

/**
 * Adds an entry to the owner's audit, in the transaction of the act itself. Each holds the hash of the one before, and the
 * owner's row the hash of the last one.
 *
 * @param detail ids, versions and counts: never a secret's name or value
 * @param head what this transaction read when it locked the owner's row; read here unless given. Good for one entry.
 * @throws {NotFound} when there is no such owner
 */
export async function appendAudit(
  tx: Database,
  clock: () => number,
  ownerId: OwnerId,
  actor: AuditActor,
  action: AuditAction,
  detail: Readonly<Record<string, unknown>>,
  head?: AuditHead,
): Promise<void> {
  const last = head ?? (await lockAuditHead(tx, { ownerId }))[0];
  if (!last) throw new NotFound('there is no such owner');
  const place = { seq: last.audit_seq + 1, previous_hash: last.audit_hash };
  const entry = { ...place, at: clock(), actor, action, detail: JSON.stringify(detail) };
  const hash = hashOf(ownerId, entry);
  await insertAuditRow(tx, { ...entry, ownerId, hash });
  await setAuditHead(tx, { ownerId, seq: entry.seq, hash });
}

/** Whether an audit is whole: how many entries it has, or the first number at which it is not and why. */
export type AuditCheck = { whole: true; entries: number } | { whole: false; seq: number; reason: string };

const PAGE_ROWS = 1000;

/**
 * Walks an owner's audit and finds an entry that was changed, removed, added or put elsewhere, and a tail that was cut.
 *
 * @awaitsCaller the command that checks the audit
 */
export async function verifyAudit(store: Store, ownerId: OwnerId): Promise<AuditCheck> {
  let seq = 0;
  let previous: Uint8Array | null = null;
  for (;;) {
    const rows: AuditRow[] = await listAuditRows(store.db, ownerId, seq, PAGE_ROWS);
    for (const row of rows) {
      if (row.seq !== seq + 1) return broken(seq + 1, 'the entry is missing');
      if (!sameHash(row.previous_hash, previous)) {
        return broken(row.seq, 'the entry does not follow the one before it: one of the two was changed or replaced');
      }
      if (!sameHash(row.hash, hashOf(ownerId, row))) return broken(row.seq, 'the entry was changed');
      seq = row.seq;
      previous = row.hash;
    }
    if (rows.length === PAGE_ROWS) continue;

    // Read after the entries: what was added meanwhile is walked as well.
    const head = await findAuditHead(store.db, ownerId);
    if (!head) return broken(seq, 'the owner is missing');
    if (head.audit_seq > seq) {
      const [next] = await listAuditRows(store.db, ownerId, seq, 1);
      if (!next) return broken(seq + 1, `the entries from here to ${head.audit_seq} are missing`);
      continue;
    }
    if (head.audit_seq < seq)
      return broken(head.audit_seq + 1, 'the entry was added by something else than this software');
    if (!sameHash(head.audit_hash, previous))
      return broken(seq, "the last entry is not the one that the owner's row names");
    return { whole: true, entries: seq };
  }
}

/** SHA-256 over the fields, each with its length in front, the hash of the entry before among them. */
function hashOf(ownerId: string, { seq, at, actor, action, detail, previous_hash }: Omit<AuditRow, 'hash'>): Buffer {
  const fields = lengthPrefixed(
    'panda-secrets audit 1',
    previous_hash ?? '',
    ownerId,
    String(seq),
    String(at),
    actor,
    action,
    detail,
  );
  return createHash('sha256').update(fields).digest();
}

function sameHash(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function broken(seq: number, reason: string): AuditCheck {
  return { whole: false, seq, reason };
}
