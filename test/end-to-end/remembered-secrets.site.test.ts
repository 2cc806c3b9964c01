import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { createVault } from '../../src/vault/vault.ts';
import { until } from '../pilot/folders.ts';
import { OPEN_MEMORY, searchMemory } from './process-memory.ts';
import { type Site, startSite } from './site.ts';

/**
 * A Node that on a signal collects its garbage and writes over it, over the room where new objects are made, and over what the allocator has
 * free, where V8's JSON leaves the parts that it put together: a text that is found then is in use. It says when that is done.
 */
const COLLECTING = [
  '--expose-gc',
  '--clear-free-memory',
  `--import=data:text/javascript,${encodeURIComponent(
    "import{writeSync}from'node:fs';process.on('SIGUSR2', () => { for (let i = 0; i < 3e5; i++) globalThis.latest = new Array(60).fill(i); gc(); gc();" +
      "globalThis.blocks = Array.from({ length: 1e5 }, () => Buffer.allocUnsafeSlow(512).fill(1)); writeSync(2,'collected\\n'); })",
  )}`,
];

const ONLY_LINUX = { skip: process.platform === 'linux' ? false : 'looks into /proc' };

test('a server that has shown secrets remembers none of them in clear', ONLY_LINUX, async (t) => {
  const site = await startSite(t, { nodeOptions: [OPEN_MEMORY, ...COLLECTING] });
  const alice = await site.user('alice');
  const ask = async <T>(path: string) => {
    const headers = { authorization: `Bearer ${alice.token}` };
    const answer = await fetch(new URL(`/api/v1/creds/${path}`, site.url), { headers });
    return ((await answer.json()) as { data: T }).data;
  };
  const list = async () => JSON.parse(await ask<string>('get_user_secrets')) as Record<string, string>;
  assert.deepEqual(await list(), {});
  // Set by another process: of a body that it reads, the server's network buffers keep parts until they are used again.
  const values = await setBeside(site.data, 10);

  for (let times = 0; times < 20; times++) assert.deepEqual(Object.values(await list()), values);
  const texts = values.map((value) => Buffer.from(value));
  assert.equal(await foundWhenCollected(site, texts), 0);
  assert.deepEqual(Object.values(await list()), values);

  for (let times = 0; times < 20; times++) {
    for (const [n, value] of values.entries()) {
      const shown = await ask<{ value: string }>(`get_secret_version?key=SECRET_${n}&version=1`);
      assert.equal(shown.value, value);
    }
  }
  assert.equal(await foundWhenCollected(site, texts), 0);
});

test('a server that has given secrets to jobs remembers none of them in clear', ONLY_LINUX, async (t) => {
  const site = await startSite(t, { nodeOptions: [OPEN_MEMORY, ...COLLECTING] });
  const alice = await site.user('alice');
  assert.equal((await alice.pbook('list_secrets')).status, 0);
  const values = await setBeside(site.data, 10);
  const submitted = await alice.prun('--exec', 'true', '--outDS', 'user.alice.all', '--nJobs', '4', '--useSecrets');
  assert.equal(submitted.status, 0, submitted.stderr);
  const ran = await site.pilot({ jobs: 4 });
  assert.equal(ran.status, 0, ran.stderr);
  const texts = values.map((value) => Buffer.from(value));
  assert.equal(await foundWhenCollected(site, texts), 0);
});

/** Has the process collect its garbage until nothing of it is there. @returns the number of texts that stay */
async function foundWhenCollected({ pid, serverOutput }: Site, texts: readonly Buffer[]): Promise<number> {
  for (let tries = 1; ; tries++) {
    process.kill(pid, 'SIGUSR2');
    await until(
      () => serverOutput().split('collected\n').length - 1,
      (times) => times === tries,
    );
    const { size } = await searchMemory(pid, texts);
    if (size === 0 || tries === MOST_TRIES) return size;
  }
}

const MOST_TRIES = 20;

/** Sets secrets of the one user by a process beside the server. @returns their values */
async function setBeside(data: string, count: number): Promise<string[]> {
  const installation = await openInstallation({ data }, { create: false, clock: Date.now });
  const vault = createVault({ ...installation, clock: Date.now });
  const values = Array.from({ length: count }, () => randomBytes(300).toString('hex'));
  const { id } = await installation.store.db.selectFrom('owners').select('id').executeTakeFirstOrThrow();
  for (const [n, value] of values.entries()) await vault.set(id as OwnerId, wireName(`SECRET_${n}`), value);
  vault.close();
  await installation.close();
  return values;
}
