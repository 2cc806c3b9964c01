import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import { removeOrphans } from '../../src/jobs/file-room.ts';
import { createSandboxes } from '../../src/jobs/sandboxes.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_SANDBOX_BYTES, MAX_SANDBOXES_AT_ONCE, OWNER_FILES_DAYS } from '../../src/protocol/limits.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { nameSandboxes } from '../../src/store/migrations.ts';
import { until } from '../pilot/folders.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { ANY_SANDBOX, openFarm, submission } from './farm.ts';

const alice = 'alice' as OwnerId;
const bob = 'bob' as OwnerId;

async function openSandboxes(_t: TestContext, database: TestDatabase) {
  const blobs = await openBlobs(join(database.folder, 'blobs'));
  return createSandboxes({ store: await database.open(), blobs, clock: Date.now });
}

const nameOf = (kind = 'jobO') => `${kind}.${randomUUID()}.tar.gz`;
const content = Buffer.from('a tar archive');
const file = gzipSync(content);
const stream = (bytes: Buffer) => Readable.from([bytes]);

eachStore('a sandbox is found by its size and checksum, by its owner alone', async (t, database) => {
  const sandboxes = await openSandboxes(t, database);
  const name = nameOf();
  await sandboxes.put(alice, name, stream(file));
  assert.equal(await sandboxes.find(alice, file.length, crc32(content)), name);
  assert.equal(await sandboxes.find(bob, file.length, crc32(content)), undefined);
  assert.equal(await sandboxes.find(alice, file.length + 1, crc32(content)), undefined);
});

/** A farm with alice's sandbox, and the tasks that start from it. */
async function sandboxOfAlice(t: TestContext, database: TestDatabase) {
  const farm = await openFarm(t, database);
  const blobs = await openBlobs(join(database.folder, 'blobs'));
  const sandboxes = createSandboxes({ ...farm, blobs });
  const name = nameOf();
  await sandboxes.put(alice, name, stream(file));
  const task = submission('user.alice.boxed');
  const template = JSON.parse(JSON.stringify(task.template).replaceAll(ANY_SANDBOX, name));
  const submit = (owner: OwnerId, outDS: string) =>
    farm.jobs.submit(owner, { ...task, template, name: `${outDS}/` }).then(({ taskId }) => taskId);
  const read = async () => await buffer((await sandboxes.open(name)).stream);
  return { ...farm, submit, read, ended: { code: 'ERR_NOT_FOUND' } };
}

eachStore('a sandbox is read by its name while a task that starts from it has not ended', async (t, database) => {
  const { jobs, submit, read, ended } = await sandboxOfAlice(t, database);
  await assert.rejects(read(), ended, 'no task was submitted');
  const first = await submit(alice, 'first');
  assert.deepEqual(await read(), file);
  const second = await submit(alice, 'second');
  await jobs.kill(alice, first);
  assert.deepEqual(await read(), file, 'the second task needs it');
  await jobs.kill(alice, second);
  await assert.rejects(read(), ended);
  await jobs.retry(alice, first, {});
  assert.deepEqual(await read(), file, 'a retry needs it again');
});

eachStore('another user who learnt the name of a sandbox cannot open it again', async (t, database) => {
  const { store, jobs, submit, read, ended } = await sandboxOfAlice(t, database);
  await jobs.kill(alice, await submit(alice, 'first'));
  await assert.rejects(submit(bob, 'theft'), { code: 'ERR_INVALID_ARGUMENT', message: /another user's sandbox/ });
  // As if the task had been there before the sandbox.
  await store.write((tx) => tx.updateTable('tasks').set({ owner_id: bob, state: 'ready' }).execute());
  await assert.rejects(read(), ended);
});

eachStore('tasks of an earlier release keep their sandboxes', async (t, database) => {
  const { store, submit, read, ended } = await sandboxOfAlice(t, database);
  await submit(alice, 'first');
  await store.write((tx) => tx.updateTable('tasks').set({ sandbox: null }).execute());
  await assert.rejects(read(), ended);
  await store.write(nameSandboxes);
  assert.deepEqual(await read(), file);
});

eachStore('a sandbox may be brought again, and never be replaced', async (t, database) => {
  const sandboxes = await openSandboxes(t, database);
  const name = nameOf();
  await sandboxes.put(alice, name, stream(file));
  await sandboxes.put(alice, name, stream(file));
  const other = stream(gzipSync('another'));
  await assert.rejects(sandboxes.put(alice, name, other), { code: 'ERR_ALREADY_EXISTS' });
  await assert.rejects(sandboxes.put(bob, name, stream(file)), { code: 'ERR_ALREADY_EXISTS' });
});

eachStore('what is no sandbox is refused: other names, other content, too much', async (t, database) => {
  const sandboxes = await openSandboxes(t, database);
  for (const name of [
    '../x.tar.gz',
    'jobO.tar.gz',
    'jobO.6ba7b810-9dad-11d1-80b4-00c04fd430c8.tar.gz', // Made of a time and a machine: the next one can be guessed.
    'jobO.00000000-0000-0000-0000-000000000000.tar.gz',
    `evil.${randomUUID()}.tar.gz`,
    `${nameOf()}/../x`,
    `a/${nameOf()}`,
  ]) {
    await assert.rejects(sandboxes.put(alice, name, stream(file)), { code: 'ERR_INVALID_ARGUMENT' }, name);
  }
  for (const bytes of [Buffer.from('PK plain zip'), Buffer.alloc(0), Buffer.from([0x1f])]) {
    await assert.rejects(sandboxes.put(alice, nameOf(), stream(bytes)), { code: 'ERR_INVALID_ARGUMENT' });
  }
  const large = () => stream(Buffer.concat([file, Buffer.alloc(MAX_SANDBOX_BYTES)]));
  await assert.rejects(sandboxes.put(alice, nameOf(), large()), { code: 'ERR_INVALID_ARGUMENT' });
  await sandboxes.put(alice, nameOf('sources'), large());
});

async function bytesIn(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = files
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

eachStore('content that comes under a name that is taken is not kept', async (t, database) => {
  const sandboxes = await openSandboxes(t, database);
  const name = nameOf();
  await sandboxes.put(alice, name, stream(file));
  const before = await bytesIn(join(database.folder, 'blobs'));
  for (const owner of [alice, bob]) {
    await assert.rejects(sandboxes.put(owner, name, stream(gzipSync(randomBytes(1000)))), {
      code: 'ERR_ALREADY_EXISTS',
    });
  }
  assert.equal(await bytesIn(join(database.folder, 'blobs')), before);
});

eachStore(
  'one owner cannot fill the disk, also not with uploads at the same moment, and others go on',
  async (t, database) => {
    const farm = await openFarm(t, database);
    const blobs = await openBlobs(join(database.folder, 'blobs'));
    let now = Date.now();
    const maxFileBytes = 2 * MAX_SANDBOX_BYTES + file.length;
    const sandboxes = createSandboxes({ store: farm.store, blobs, clock: () => now, maxFileBytes });
    const name = nameOf();
    let refused = 0;
    const streams = Array.from({ length: MAX_SANDBOXES_AT_ONCE }, () => new PassThrough());
    const puts = streams.map((held) =>
      sandboxes.put(farm.alice, name, held).catch((error) => {
        if (error.code === 'ERR_QUOTA_EXCEEDED') refused += 1;
      }),
    );
    // None of the others has ended before: two at a time have room for what they may come to.
    await until(
      () => refused,
      (many) => many >= 1,
    );
    for (const held of streams) held.end(file);
    await Promise.all(puts);
    await sandboxes.put(
      farm.alice,
      nameOf(),
      stream(Buffer.concat([file, Buffer.alloc(MAX_SANDBOX_BYTES - file.length)])),
    );
    await assert.rejects(
      sandboxes.put(farm.alice, nameOf(), stream(file)),
      /within 30 days you and your jobs have uploaded/,
    );
    await sandboxes.put(farm.bob, nameOf(), stream(file));
    now += (OWNER_FILES_DAYS + 1) * 24 * 3600_000;
    await sandboxes.put(farm.alice, nameOf(), stream(file));
  },
);

eachStore('a file that nothing names is removed after a day, and no other', async (t, database) => {
  const farm = await openFarm(t, database);
  const blobs = await openBlobs(join(database.folder, 'blobs'));
  let now = Date.now();
  const room = { store: farm.store, blobs, clock: () => now };
  const sandboxes = createSandboxes(room);
  const name = nameOf();
  await sandboxes.put(farm.alice, name, stream(file));
  await assert.rejects(sandboxes.put(farm.bob, name, stream(file)), /another sandbox/);
  const orphan = await blobs.put(stream(Buffer.from('replaced')), { maxBytes: 100 });
  assert.equal(await removeOrphans(room), 0, 'its row may be about to be written');
  now += 25 * 3600_000;
  assert.equal(await removeOrphans(room), 1);
  await assert.rejects(blobs.get(orphan.sha256), { code: 'ERR_NOT_FOUND' });
  const kept = [];
  for await (const blob of blobs.list()) kept.push(blob.size);
  assert.deepEqual(kept, [file.length]);
});

eachStore('one owner brings only so many sandboxes at the same moment', async (t, database) => {
  const sandboxes = await openSandboxes(t, database);
  const endless = Array.from({ length: MAX_SANDBOXES_AT_ONCE }, () => new PassThrough());
  const putting = endless.map((content) => sandboxes.put(alice, nameOf(), content));
  await assert.rejects(sandboxes.put(alice, nameOf(), stream(file)), { code: 'ERR_QUOTA_EXCEEDED' });
  await sandboxes.put(bob, nameOf(), stream(file));
  for (const content of endless) content.end(file);
  await Promise.all(putting);
  await sandboxes.put(alice, nameOf(), stream(file));
});
