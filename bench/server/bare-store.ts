// A bare store: the rows that a set writes, one durable transaction each, one after another. No HTTP, no encryption (the
// bytes are random), no reading.

import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { KEPT_VERSIONS } from '../../src/protocol/limits.ts';
import { answerMessages } from './bare-process.ts';
import type { Driven } from './driver.ts';

export interface StoreSettings {
  /** A copy of the server's database, for this program alone. */
  database: string;
  valueBytes: number;
}

type Question = StoreSettings | { seconds: number };

const CIPHERTEXT_OVERHEAD_BYTES = 40;
const HASH_BYTES = 32;
let set: () => void;

answerMessages<Question>((question) => {
  if ('seconds' in question) return measure(question.seconds);
  set = prepareSet(question);
  return true;
});

function measure(seconds: number): Driven {
  const latencies: number[] = [];
  const start = performance.now();
  let now = start;
  while (now < start + seconds * 1000) {
    set();
    const done = performance.now();
    latencies.push(done - now);
    now = done;
  }
  return { units: latencies.length, seconds: (now - start) / 1000, latencies: latencies.sort((a, b) => a - b) };
}

/** The next of an endless round over all secrets gets its next version. */
function prepareSet({ database: path, valueBytes }: StoreSettings): () => void {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on');
  const [begin, commit] = ['begin immediate', 'commit'].map((sql) => database.prepare(sql));
  const changeOwner = database.prepare(
    `update owners set revision = revision + 1, audit_seq = audit_seq + 1, audit_hash = ? where id = ?
     returning audit_seq`,
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
  const secrets = database
    .prepare('select id, owner_id, data_key_id, current_version from secrets order by name_hash')
    .all() as { id: string; owner_id: string; data_key_id: string; current_version: number }[];
  const ciphertext = randomBytes(valueBytes + CIPHERTEXT_OVERHEAD_BYTES);
  const hash = randomBytes(HASH_BYTES);
  let turn = 0;

  return () => {
    const secret = secrets[turn++ % secrets.length];
    if (!secret || !begin || !commit) throw new Error('the copy of the database has no secrets');
    const version = ++secret.current_version;
    const now = Date.now();
    begin.run();
    const { audit_seq } = changeOwner.get(hash, secret.owner_id) as { audit_seq: number };
    changeSecret.run(version, valueBytes, now, secret.id);
    insertVersion.run(secret.id, version, secret.owner_id, secret.data_key_id, valueBytes, now, ciphertext);
    if (version > KEPT_VERSIONS) deleteOld.run(secret.id, version - KEPT_VERSIONS);
    insertAudit.run(secret.owner_id, audit_seq, now, `{"secret":"${secret.id}","version":${version}}`, hash, hash);
    commit.run();
  };
}
