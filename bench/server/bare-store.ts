// A bare store: the rows that a set writes, one durable transaction each, one after another. It seals the value and chains the
// audit, without which the rows would not be the same, and does nothing else: no HTTP, no login, no check, no reading.

import { createHash, randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { KEPT_VERSIONS } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import type { DataKey } from '../../src/sealing/data-key.ts';
import { sealValue } from '../../src/sealing/value-format.ts';
import { preparePostgresSet } from './bare-postgres.ts';
import { answerMessages } from './bare-process.ts';
import { ACTIVE_KEYS, unwrapAll } from './data-keys.ts';
import type { Driven } from './driver.ts';
import { quantile } from './rounds.ts';

export interface StoreSettings {
  /** A copy of the server's database, for this program alone: a file of SQLite's, or the URL of a PostgreSQL. */
  database: string;
  isFile: boolean;
  rootKeyFile: string;
  valueBytes: number;
}

/** Before the first entry of a chain. */
const NO_ENTRY = new Uint8Array(32);

type Question = StoreSettings | { seconds: number };

let set: () => void | Promise<void>;

answerMessages<Question>(async (question) => {
  if ('seconds' in question) return measure(question.seconds);
  set = await (question.isFile ? prepareSet(question) : preparePostgresSet(question));
  return true;
});

async function measure(seconds: number): Promise<Driven> {
  const latencies: number[] = [];
  const start = performance.now();
  let now = start;
  while (now < start + seconds * 1000) {
    const pending = set();
    if (pending) await pending;
    const done = performance.now();
    latencies.push(done - now);
    now = done;
  }
  latencies.sort((a, b) => a - b);
  return {
    units: latencies.length,
    seconds: (now - start) / 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  };
}

/** A row that a set changes. */
export interface Secret {
  id: string;
  owner_id: string;
  data_key_id: string;
  name_hash: Uint8Array;
  current_version: number;
}

/** @returns a function that gives a secret its next version, one after another in an endless round over all */
async function prepareSet({ database: path, rootKeyFile, valueBytes }: StoreSettings): Promise<() => void> {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on');
  const [begin, commit] = ['begin immediate', 'commit'].map((sql) => database.prepare(sql));
  const countChange = database.prepare(
    'update owners set revision = revision + 1 where id = ? returning audit_seq, audit_hash',
  );
  const changeSecret = database.prepare(
    'update secrets set current_version = ?, size = ?, updated_at = ? where id = ?',
  );
  const insertVersion = database.prepare(
    `insert into secret_versions (secret_id, version, owner_id, data_key_id, size, created_at, ciphertext)
     values (?, ?, ?, ?, ?, ?, ?)`,
  );
  const deleteOld = database.prepare('delete from secret_versions where secret_id = ? and version <= ?');
  const insertAudit = database.prepare(
    `insert into audit (owner_id, seq, at, actor, action, detail, previous_hash, hash)
     values (?, ?, ?, 'owner', 'secret.set', ?, ?, ?)`,
  );
  const setHead = database.prepare('update owners set audit_seq = ?, audit_hash = ? where id = ?');
  const dataKeys = await unwrapAll(database.prepare(ACTIVE_KEYS).all(), rootKeyFile);
  const secrets = database
    .prepare('select id, owner_id, data_key_id, name_hash, current_version from secrets order by name_hash')
    .all() as unknown as Secret[];
  const secret = { name: wireName('BENCH_SECRET'), value: new Plaintext(randomBytes(valueBytes / 2).toString('hex')) };
  let turn = 0;

  return () => {
    const row = secrets[turn++ % secrets.length];
    if (!row || !begin || !commit) throw new Error('the copy of the database has no secrets');
    const { id, owner_id: owner, data_key_id: dataKeyId, name_hash: nameHash } = row;
    const version = ++row.current_version;
    const now = Date.now();
    begin.run();
    const head = countChange.get(owner) as { audit_seq: number; audit_hash: Uint8Array | null };
    const [seq, previous] = [head.audit_seq, head.audit_hash ?? NO_ENTRY];
    const ciphertext = sealValue(dataKeys.get(owner) as DataKey, { nameHash, version }, secret);
    changeSecret.run(version, valueBytes, now, id);
    insertVersion.run(id, version, owner, dataKeyId, valueBytes, now, ciphertext);
    if (version > KEPT_VERSIONS) deleteOld.run(id, version - KEPT_VERSIONS);
    const detail = `{"secret":"${id}","version":${version}}`;
    const hash = createHash('sha256').update(previous).update(`${owner}${now}${detail}`).digest();
    insertAudit.run(owner, seq + 1, now, detail, previous, hash);
    setHead.run(seq + 1, hash, owner);
    commit.run();
  };
}
