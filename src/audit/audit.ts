import { hash as digestOf } from 'node:crypto';
import { NotFound, Tampered } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import {
  type AuditHead,
  type AuditRow,
  findAuditHead,
  findSystemAuditHead,
  insertAuditRows,
  listAuditHeads,
  listAuditRows,
  lockAuditHead,
  lockSystemAuditHead,
  setAuditHead,
  setHeadOfChange,
  setSystemAuditHead,
} from '../store/audit.ts';
import { findStone } from '../store/audit-stones.ts';
import type { Database, Store } from '../store/store.ts';

/** The chain of what operators did, and of what the server refused for good reason. Each owner has one of their own. */
export const SYSTEM = 'system';

/** An owner's chain, or the system's. No owner's id can be `system`: they are UUIDs. */
export type Chain = OwnerId | typeof SYSTEM;

/**
 * Who did it. `operator` works on the installation itself, `operator:ID` over the network; `account:ID` is a person at the
 * embedded issuer, `pilot:ID` a pilot, `launcher:ID` a launcher; `server` acts by itself, and notes what it refused to callers that it does not know.
 */
export type AuditActor =
  | 'owner'
  | 'operator'
  | 'server'
  | `operator:${string}`
  | `account:${string}`
  | `pilot:${string}`
  | `launcher:${string}`;

/** An act and its object, as `secret.set`: the room that does it names it. */
export type AuditAction = `${string}.${string}`;

/**
 * Adds an entry to a chain, in the transaction of the act itself. Each holds the hash of the one before, and the chain's head
 * (in the owner's row, or a row of its own) the hash of the last one. It locks the head: the last thing that a transaction
 * locks, so that two acts wait for each other and never in a circle.
 *
 * @param detail ids, versions and counts, and names of queues: never a secret's name or value, nor the name of a person, which an
 * erasure could not take back
 * @param head of an entry that tells of a change of the owner's secrets, which is counted with it: the chain's end, as this transaction read it when it
 * locked the owner's row. Good for one call. Read here unless given
 * @throws {NotFound} when there is no such owner
 */
export function appendAudit(
  tx: Database,
  clock: () => number,
  chain: Chain,
  actor: AuditActor,
  action: AuditAction,
  detail: Readonly<Record<string, unknown>>,
  head?: AuditHead,
): Promise<void> {
  return appendAudits(tx, clock, chain, actor, action, [detail], head);
}

/** Adds an entry for each of `details`, in their order, as {@link appendAudit} does: the head is locked and set once for all of them. */
export async function appendAudits(
  tx: Database,
  clock: () => number,
  chain: Chain,
  actor: AuditActor,
  action: AuditAction,
  details: readonly Readonly<Record<string, unknown>>[],
  head?: AuditHead,
): Promise<void> {
  const [last] = head ? [head] : await lockHead(tx, chain);
  if (!last) throw new NotFound('there is no such owner');
  let { audit_seq: seq, audit_hash: hash } = last;
  const entries = details.map((detail) => {
    seq += 1;
    const entry = { seq, previous_hash: hash, at: clock(), actor, action, detail: JSON.stringify(detail) };
    const own = hashOf(chain, entry);
    hash = own;
    return { ...entry, owner_id: chain, hash: own };
  });
  if (hash === null || entries.length === 0) return;
  await insertAuditRows(tx, entries);
  if (chain === SYSTEM) await setSystemAuditHead(tx, { chain, seq, hash });
  else await (head ? setHeadOfChange : setAuditHead)(tx, { ownerId: chain, seq, hash });
}

/** Notes an act of an operator that changes nothing in the database: a token that was made, a key in a file. */
export async function recordAct(
  store: Store,
  clock: () => number,
  actor: AuditActor,
  action: AuditAction,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await store.write((tx) => appendAudit(tx, clock, SYSTEM, actor, action, detail));
}

/**
 * The verdict on an audit: whole, with the number of its last entry and of the last one that was cut as no longer kept, or broken, with the first number at which it is and why. */
export type AuditCheck = { whole: true; entries: number; cut?: number } | { whole: false; seq: number; reason: string };

const NOT_THE_KEPT_ONE = 'the entry is not the one whose head was kept: the chain was made anew up to here';
const PAGE_ROWS = 1000;

/**
 * Walks a chain and finds an entry that was changed, removed, added or put elsewhere, and a tail that was cut; by heads that were
 * kept elsewhere also a chain that was made anew as a whole.
 *
 * @internal
 * @param kept earlier heads of this chain
 */
export async function verifyAudit(
  store: Pick<Store, 'db'>,
  chain: Chain,
  kept: readonly KeptHead[] = [],
): Promise<AuditCheck> {
  const keptHashes = new Map(kept.map((head) => [head.seq, head.hash]));
  const lastKept = Math.max(0, ...keptHashes.keys());
  let stone = await stoneOf(store, chain);
  if ('whole' in stone) return stone;
  let { seq, hash: previous } = stone;
  const keptAtStone = keptHashes.get(seq);
  if (previous && keptAtStone !== undefined && keptAtStone !== hex(previous)) return broken(seq, NOT_THE_KEPT_ONE);
  for (;;) {
    const rows: AuditRow[] = await listAuditRows(store.db, chain, seq, PAGE_ROWS);
    for (const row of rows) {
      if (row.seq !== seq + 1) {
        // It may have been cut while this walked.
        const before = stone.seq;
        stone = await stoneOf(store, chain);
        if ('whole' in stone) return stone;
        return stone.seq > before ? verifyAudit(store, chain, kept) : broken(seq + 1, 'the entry is missing');
      }
      if (!sameHash(row.previous_hash, previous)) {
        return broken(row.seq, 'the entry does not follow the one before it: one of the two was changed or replaced');
      }
      if (!sameHash(row.hash, hashOf(chain, row))) return broken(row.seq, 'the entry was changed');
      const keptHash = keptHashes.get(row.seq);
      if (keptHash !== undefined && keptHash !== hex(row.hash)) {
        return broken(row.seq, NOT_THE_KEPT_ONE);
      }
      seq = row.seq;
      previous = row.hash;
    }
    if (rows.length === PAGE_ROWS) continue;

    // Read after the entries: what was added meanwhile is walked as well.
    const head = await findHead(store.db, chain);
    if (!head) return broken(seq, "the chain's head is missing: of an owner, with the owner");
    if (head.audit_seq > seq) {
      const [next] = await listAuditRows(store.db, chain, seq, 1);
      if (!next) return broken(seq + 1, `the entries from here to ${head.audit_seq} are missing`);
      continue;
    }
    if (head.audit_seq < seq)
      return broken(head.audit_seq + 1, 'the entry was added by something else than this software');
    if (!sameHash(head.audit_hash, previous))
      return broken(seq, "the last entry is not the one that the chain's head names");
    if (lastKept > seq)
      return broken(seq + 1, `the entries from here to ${lastKept}, of which a head was kept, are missing`);
    return { whole: true, entries: seq, ...(stone.seq > 0 && { cut: stone.seq }) };
  }
}

/** A chain's head to keep elsewhere, where nobody who writes the database can change it. `hash` is in hex. */
export interface KeptHead {
  chain: string;
  seq: number;
  hash: string;
}

/** The head of every chain that has entries. */
export async function auditHeads(store: Store): Promise<KeptHead[]> {
  const heads = await listAuditHeads(store.db);
  return heads.flatMap(({ chain, audit_seq: seq, audit_hash: hash }) =>
    hash === null ? [] : [{ chain, seq, hash: hex(hash) }],
  );
}

/** An entry as it is shown. `at` is in milliseconds since 1970 UTC. */
export interface AuditEntry {
  chain: string;
  seq: number;
  at: number;
  actor: string;
  action: string;
  detail: unknown;
  hash: string;
}

/** The entries of a chain after number `after`, in order. */
export async function* auditEntries(store: Store, chain: string, after = 0): AsyncGenerator<AuditEntry> {
  for (let last = after; ; ) {
    const rows = await listAuditRows(store.db, chain, last, PAGE_ROWS);
    for (const { seq, at, actor, action, detail, hash } of rows) {
      yield { chain, seq, at, actor, action, detail: parsed(detail), hash: hex(hash) };
      last = seq;
    }
    if (rows.length < PAGE_ROWS) return;
  }
}

/** Every chain that has entries, or whose head is somewhere in `kept`, checked. */
export async function verifyAudits(
  store: Pick<Store, 'db'>,
  kept: readonly KeptHead[] = [],
): Promise<{ chain: string; check: AuditCheck }[]> {
  const heads = await listAuditHeads(store.db);
  const chains = new Set([...heads.map(({ chain }) => chain), ...kept.map(({ chain }) => chain)]);
  const checks = [];
  for (const chain of chains) {
    const own = kept.filter((head) => head.chain === chain);
    checks.push({ chain, check: await verifyAudit(store, chain as Chain, own) });
  }
  return checks;
}

/** An entry, as far as the next one names it. */
interface Followed {
  seq: number;
  hash: Uint8Array | null;
}

/** True for an entry as it was made, right behind `last`. */
export function follows(chain: Chain, last: Followed, row: AuditRow): boolean {
  return row.seq === last.seq + 1 && sameHash(row.previous_hash, last.hash) && sameHash(row.hash, hashOf(chain, row));
}

/** Where a chain begins: behind the entries that were cut. */
async function stoneOf(store: Pick<Store, 'db'>, chain: Chain): Promise<Followed | (AuditCheck & { whole: false })> {
  try {
    const stone = await findStone(store.db, chain);
    return stone ? { seq: stone.seq, hash: Buffer.from(stone.hash, 'hex') } : { seq: 0, hash: null };
  } catch (error) {
    if (!(error instanceof Tampered)) throw error;
    return broken(0, 'the mark of its cut was written by something else than this software');
  }
}

export function lockHead(tx: Database, chain: Chain): Promise<AuditHead[]> {
  return chain === SYSTEM ? lockSystemAuditHead(tx, { chain }) : lockAuditHead(tx, { ownerId: chain });
}

function findHead(db: Database, chain: Chain): Promise<AuditHead | undefined> {
  return chain === SYSTEM ? findSystemAuditHead(db, chain) : findAuditHead(db, chain);
}

/** SHA-256 over the fields, each with its length in front, the hash of the entry before among them. */
function hashOf(chain: Chain, { seq, at, actor, action, detail, previous_hash }: Omit<AuditRow, 'hash'>): Buffer {
  const fields = lengthPrefixed(
    'panda-secrets audit 1',
    previous_hash ?? '',
    chain,
    String(seq),
    String(at),
    actor,
    action,
    detail,
  );
  return digestOf('sha256', fields, 'buffer');
}

function sameHash(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** An entry that somebody changed may be anything. */
function parsed(detail: string): unknown {
  try {
    return JSON.parse(detail);
  } catch {
    return detail;
  }
}

function broken(seq: number, reason: string): AuditCheck & { whole: false } {
  return { whole: false, seq, reason };
}
