import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { inBatches } from '../../src/store/in-batches.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, sqliteDatabase } from '../stores.ts';

const ROWS = 60;
const MEGABYTE = 1_000_000;

/** Writes some 12 MB, and deletes them. */
async function fillAndEmpty(store: Store): Promise<void> {
  for (let n = 0; n < ROWS; n++) {
    const detail = randomBytes(100_000).toString('hex');
    const row = {
      owner_id: 'x',
      seq: n,
      at: 0,
      actor: 'x',
      action: 'x',
      detail,
      previous_hash: null,
      hash: Buffer.alloc(0),
    };
    await store.write((tx) => tx.insertInto('audit').values(row).execute());
  }
  await store.write((tx) => tx.deleteFrom('audit').execute());
}

test('an SQLite database shrinks by what was freed in it, a small part at a time', async (t) => {
  const { open, folder } = sqliteDatabase(t);
  const store = await open();
  const size = () => statSync(join(folder, 'panda.db')).size;
  await fillAndEmpty(store);
  let parts = 0;
  await inBatches(async () => {
    parts += 1;
    return await store.reclaim();
  });
  // SQLite takes it from the end of the file at its next checkpoint.
  await store.close();
  assert.ok(parts > 3, `${parts} parts`);
  assert.ok(size() < 5 * MEGABYTE, `${size()} bytes`);
  const log = statSync(join(folder, 'panda.db-wal'), { throwIfNoEntry: false })?.size ?? 0;
  assert.ok(log < MEGABYTE, `${log} bytes of its log`);
});

test("an earlier release's database is made to shrink at a start", async (t) => {
  const { folder } = sqliteDatabase(t);
  const path = join(folder, 'panda.db');
  const earlier = new DatabaseSync(path);
  earlier.exec('create table old (x); insert into old values (1)');
  earlier.close();
  const store = await openSqlite(path);
  await fillAndEmpty(store);
  assert.equal(await store.reclaim(), true);
  await store.close();
});

eachStore('reclaiming while others write disturbs nobody', async (_t, database) => {
  const store = await database.open();
  await fillAndEmpty(store);
  const rows = Array.from({ length: 50 }, (_, n) => ({ queue: 'q', owner_id: `o${n}`, turn: n }));
  await Promise.all([
    inBatches(() => store.reclaim()),
    ...rows.map((row) => store.write((tx) => tx.insertInto('queue_turns').values(row).execute())),
  ]);
  assert.equal((await store.db.selectFrom('queue_turns').selectAll().execute()).length, rows.length);
});
