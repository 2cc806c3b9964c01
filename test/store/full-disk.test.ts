import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { NoSpace } from '../../src/protocol/errors.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { openLiveLogs } from '../../src/store/live-logs.ts';
import { openReserve } from '../../src/store/reserve.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { fillDisk, freeBytes, smallDisk } from '../small-disk.ts';

const SQLITE_FULL = 13;
const MEGABYTE = 1024 * 1024;

test('a full disk is the error of every write that it stops, and passes when there is room again', async (t) => {
  const folder = smallDisk(t, 8);
  if (!folder) return;
  const [room, store] = [join(folder, 'room'), await openSqlite(join(folder, 'panda.db'))];
  writeFileSync(room, Buffer.alloc(3_000_000, 1));
  const add = adding(store, 'write');
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

test('of writes that find the disk full together, those that grow are refused and the others are done', async (t) => {
  const folder = smallDisk(t, 12);
  if (!folder) return;
  const changes: boolean[] = [];
  const reserve = openReserve(join(folder, 'reserve'), { bytes: 2 * MEGABYTE, onChange: (full) => changes.push(full) });
  await reserve.keep();
  assert.equal(statSync(join(folder, 'reserve')).size, 2 * MEGABYTE);
  const store = await openSqlite(join(folder, 'panda.db'), reserve);
  const [grow, write] = [adding(store, 'grow'), adding(store, 'write')];
  await grow(10);
  const room = join(folder, 'room');
  fillDisk(room);

  const together = await Promise.allSettled([grow(100_000), write(100_000), grow(10), write(10)]);
  assert.deepEqual(
    together.map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.constructor)),
    [NoSpace, 'done', NoSpace, 'done'],
  );
  assert.ok(!existsSync(join(folder, 'reserve')));
  await assert.rejects(grow(10), NoSpace);
  await write(10);
  await reserve.keep();
  await assert.rejects(grow(10), NoSpace, 'there is no room yet for twice the reserve');

  truncateSync(room, statSync(room).size - 4 * MEGABYTE);
  await reserve.keep();
  assert.equal(statSync(join(folder, 'reserve')).size, 2 * MEGABYTE);
  await grow(100_000);
  assert.deepEqual(changes, [true, false]);
  const rows = await store.db.selectFrom('queues').select('name').execute();
  assert.equal(rows.length, 5, 'what was refused was not kept');
  await store.close();
});

test('a database opens on a full disk, with the room that was kept back', async (t) => {
  const folder = smallDisk(t, 12);
  if (!folder) return;
  const reserve = openReserve(join(folder, 'reserve'), { bytes: 2 * MEGABYTE });
  const [path, room] = [join(folder, 'panda.db'), join(folder, 'room')];
  await (await openSqlite(path, reserve)).close();
  fillDisk(room);
  await assert.rejects(openSqlite(path, reserve), /cannot be used/);
  rmSync(room);
  await reserve.keep();
  fillDisk(room);
  const store = await openSqlite(path, reserve);
  await adding(store, 'write')(10);
  await assert.rejects(adding(store, 'grow')(10), NoSpace);
  await store.close();
});

test('an upload that is under way does not take the room that was given up', async (t) => {
  const folder = smallDisk(t, 16);
  if (!folder) return;
  const reserve = openReserve(join(folder, 'reserve'), { bytes: 4 * MEGABYTE });
  await reserve.keep();
  const blobs = await openBlobs(join(folder, 'blobs'), reserve);
  const chunk = Buffer.alloc(64 * 1024, 1);
  async function* endless() {
    for (;;) yield chunk;
  }
  async function* whileAnotherWriteGivesUp() {
    yield chunk;
    reserve.giveUp();
    yield* endless();
  }
  const limit = { maxBytes: 100 * MEGABYTE };
  await assert.rejects(blobs.put(Readable.from(whileAnotherWriteGivesUp()), limit), NoSpace);
  assert.ok(freeBytes(folder) > 15 * MEGABYTE);

  await reserve.keep();
  await assert.rejects(blobs.put(Readable.from(endless()), limit), { code: 'ENOSPC' });
  await assert.rejects(blobs.put(Readable.from([chunk]), limit), NoSpace);
  assert.deepEqual(readdirSync(join(folder, 'blobs', 'incoming')), []);
  await reserve.keep();
  await blobs.put(Readable.from([chunk]), limit);
});

test('a live log says of a full disk what it has kept, and no more', async (t) => {
  const folder = smallDisk(t, 4);
  if (!folder) return;
  const reserve = openReserve(join(folder, 'reserve'), { bytes: MEGABYTE });
  await reserve.keep();
  const logs = await openLiveLogs(join(folder, 'live'), reserve);
  const bytes = Buffer.alloc(64 * 1024, 'a');
  const log = { jobId: 1, attempt: 1 };
  let size = 0;
  const append = async () => {
    ({ size } = await logs.append(log, { offset: size, bytes, maxBytes: 100 * MEGABYTE }));
  };
  await assert.rejects(async () => {
    for (;;) await append();
  });
  assert.equal(statSync(join(folder, 'live', '1.1.log')).size, size);
  await assert.rejects(append(), NoSpace);
});

test('growth is refused by every process as soon as one has given up the room', async (t) => {
  const folder = smallDisk(t, 12);
  if (!folder) return;
  const path = join(folder, 'reserve');
  const [one, other] = [openReserve(path, { bytes: MEGABYTE }), openReserve(path, { bytes: MEGABYTE })];
  other.refuseGrowth();
  for (const reserve of [one, other]) await reserve.keep();
  other.refuseGrowth();
  assert.equal(one.giveUp(), true);
  assert.throws(() => other.refuseGrowth(), NoSpace);
  await one.keep();
  await other.keep();
  other.refuseGrowth();
});

test('a reserve that another process gave up, or that was made by half, is made anew', async (t) => {
  const folder = smallDisk(t, 12);
  if (!folder) return;
  const [path, room] = [join(folder, 'reserve'), join(folder, 'room')];
  const [server, command] = [openReserve(path, { bytes: MEGABYTE }), openReserve(path, { bytes: MEGABYTE })];
  await server.keep();
  fillDisk(room);
  assert.equal(command.giveUp(), true);
  assert.equal(command.giveUp(), false);
  await server.keep();
  assert.throws(() => server.refuseGrowth(), NoSpace);
  rmSync(room);
  writeFileSync(path, 'half');
  await server.keep();
  server.refuseGrowth();
  assert.equal(statSync(path).size, MEGABYTE);
});

/** Adds a row of about that many bytes. */
function adding(store: Store, how: 'write' | 'grow') {
  return (bytes: number) => {
    const row = { name: randomBytes(bytes / 2).toString('hex'), created_at: 1 };
    return store[how]((tx) => tx.insertInto('queues').values(row).execute());
  };
}
