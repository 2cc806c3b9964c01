import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import { createSandboxes } from '../../src/jobs/sandboxes.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_SANDBOX_BYTES } from '../../src/protocol/limits.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { eachStore, type TestDatabase } from '../stores.ts';

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

eachStore(
  'a sandbox is found by its size and checksum, by its owner alone, and read by its name',
  async (t, database) => {
    const sandboxes = await openSandboxes(t, database);
    const name = nameOf();
    await sandboxes.put(alice, name, stream(file));
    assert.equal(await sandboxes.find(alice, file.length, crc32(content)), name);
    assert.equal(await sandboxes.find(bob, file.length, crc32(content)), undefined);
    assert.equal(await sandboxes.find(alice, file.length + 1, crc32(content)), undefined);
    const opened = await sandboxes.open(name);
    assert.equal(opened.size, file.length);
    assert.deepEqual(await buffer(opened.stream), file);
    await assert.rejects(sandboxes.open(nameOf()), { code: 'ERR_NOT_FOUND' });
  },
);

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
