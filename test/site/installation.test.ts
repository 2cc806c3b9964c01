import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openInstallation } from '../../src/site/installation.ts';
import { startServer } from '../server/start.ts';

test('a first start makes the root key where the setting names it, a later one only opens it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'panda-installation-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const settings = { data: join(folder, 'data'), rootKeys: [pathToFileURL(join(folder, 'elsewhere')).href] };
  const open = (create: boolean) => openInstallation(settings, { create, clock: Date.now });

  const first = await open(true);
  const { active } = first.rootKeys;
  await first.close();
  assert.deepEqual(
    [existsSync(join(folder, 'elsewhere')), existsSync(join(settings.data, 'root-keys'))],
    [true, false],
  );

  const second = await open(false);
  assert.equal(second.rootKeys.active.id, active.id);
  await second.close();

  rmSync(join(folder, 'elsewhere'));
  await assert.rejects(open(true), /there is no root key file at .*elsewhere/);
});

test('a data folder that others can write is refused', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'panda-installation-'));
  t.after(() => rmSync(data, { recursive: true }));
  for (const mode of [0o770, 0o702, 0o1777]) {
    chmodSync(data, mode);
    await assert.rejects(
      openInstallation({ data }, { create: true, clock: Date.now }),
      /others on this machine can write the data folder .*chmod go-w/,
    );
  }
  assert.deepEqual(readdirSync(data), []);
});

test('a data folder of another user is refused, by root too', {
  skip: process.getuid?.() !== 0 && 'only root can give a folder away',
}, async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'panda-installation-'));
  t.after(() => rmSync(data, { recursive: true }));
  chownSync(data, 65534, 65534);
  await assert.rejects(
    openInstallation({ data }, { create: true, clock: Date.now }),
    /belongs to another user \(uid 65534\): run this as that user/,
  );
  assert.deepEqual(readdirSync(data), []);
});

test('a server that cannot end its start listens no longer', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'panda-installation-'));
  t.after(() => rmSync(data, { recursive: true }));
  // The note of its address cannot be written.
  mkdirSync(join(data, 'address'));
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
  await assert.rejects(startServer(t, { settings: { data, port } }), { code: 'EISDIR' });
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`), (error: Error) => {
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED');
    return true;
  });
});
