import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSlurm } from '../../../src/pilot/launcher/slurm.ts';
import { temporaryFolder } from '../folders.ts';
import { stubLauncher, stubServer } from './stubs.ts';

/** Slurm as its commands would answer: rows of `squeue`, and of `sacct`, by the ids that it is asked for. */
async function answering(t: TestContext) {
  const folder = await temporaryFolder(t);
  const rows = (command: string, lines: readonly string[]) =>
    writeFileSync(join(folder, `${command}.rows`), lines.map((line) => `${line}\n`).join(''));
  for (const command of ['squeue', 'sacct', 'scancel', 'sbcast']) {
    const path = join(folder, command);
    const answer = command === 'scancel' ? `echo "$@" >> ${path}.rows` : `cat ${path}.rows`;
    writeFileSync(path, `#!/bin/sh\n${answer}\n`);
    chmodSync(path, 0o755);
    rows(command, []);
  }
  const batch = createSlurm(
    { setup: [], handOver: 'sbcast', tokenFolder: '/dev/shm', sendTo: '/tmp' },
    { PATH: `${folder}:/usr/bin:/bin` },
  );
  return { batch, rows };
}

/** The batch job of a launcher's pilot, in a row of `squeue`. */
const row = (id: string, name: string, state = 'RUNNING') => `${id}|${name}.0123456789abcdef|${state}|n1|None`;

for (const [where, squeue, sacct] of [
  ['squeue', [row('7', 'other'), row('8', 'other')], []],
  [
    'squeue, where accounting knows an older batch job of its id',
    [row('7', 'other'), row('8', 'other')],
    ['7|FAILED|1:0|n1'],
  ],
  ['accounting, as one of another account', [], ['7|RUNNING|0:0|n1', '8|PENDING|0:0|None assigned']],
  ['nowhere, as one of another account', [], []],
] as const) {
  test(`a launcher ends and serves no pilot of another launcher with its token: ${where}`, async (t) => {
    const { batch, rows } = await answering(t);
    const server = stubServer();
    server.joined = new Set(['7']);
    server.tokens = new Map([['join-0', '8']]);
    rows('squeue', squeue);
    rows('sacct', sacct);
    const { launcher, rounds } = stubLauncher(batch, server);
    await rounds(3);
    assert.deepEqual(server.ends, []);
    assert.ok(!server.calls.includes('createJoinToken'), 'the token that the other one has made is still good');
    assert.equal(launcher.pilots, 0);
  });
}

test('an end that accounting tells, or that squeue no longer lists what it did, is told to the server', async (t) => {
  const { batch, rows } = await answering(t);
  const server = stubServer();
  server.joined = new Set(['7', '9']);
  rows('squeue', [row('9', 'p')]);
  rows('sacct', ['7|TIMEOUT|0:0|n1']);
  const { launcher, rounds } = stubLauncher(batch, server);
  await rounds(2);
  assert.deepEqual(server.ends, [['7', 'time limit reached']]);
  assert.equal(launcher.pilots, 1);
  rows('squeue', []);
  rows('sacct', []);
  await rounds(1);
  assert.deepEqual(server.ends.at(-1), ['9', 'it is gone']);
});
