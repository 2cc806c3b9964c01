import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqlite } from '../../src/store/sqlite.ts';

const SQLITE_FULL = 13;

test('a full disk is the error of every write that it stops, and passes when there is room again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'panda-full-'));
  t.after(() => {
    spawnSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', folder]).status !== 0) {
    t.skip('no tmpfs can be mounted here: only root can, outside of containers that forbid it');
    return;
  }
  const [room, store] = [join(folder, 'room'), await openSqlite(join(folder, 'panda.db'))];
  writeFileSync(room, Buffer.alloc(3_000_000, 1));
  const add = (bytes: number) => {
    const row = { name: randomBytes(bytes).toString('hex'), created_at: 1 };
    return store.write((tx) => tx.insertInto('queues').values(row).execute());
  };
  const fill = async () => {
    for (;;) await add(200_000);
  };
  await assert.rejects(fill(), { errcode: SQLITE_FULL });
  const together = await Promise.allSettled([add(400_000), add(400_000)]);
  for (const one of together) assert.equal(one.status === 'rejected' && one.reason.errcode, SQLITE_FULL);
  rmSync(room);
  await add(10);
  await store.close();
});
