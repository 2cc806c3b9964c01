import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { Refused } from '../../src/protocol/errors.ts';
import { MAX_LIVE_LOG_PART_BYTES } from '../../src/protocol/limits.ts';
import { startServer } from './start.ts';

/** A job that a pilot runs, and its owner. */
async function setUp(t: Parameters<typeof startServer>[0]) {
  const server = await startServer(t);
  const clientOf = (token: string): Client => {
    const client = createClient({ url: server.url, token: async () => token, vo: 'panda' });
    t.after(() => client.close());
    return client;
  };
  const alice = clientOf(await server.userToken('alice'));
  const pilot = clientOf(await server.pilotToken());
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('not really a tar'));
  const wanted = { exec: 'true', outDataset: 'user.alice.one', outputs: [], jobs: 1, useSecrets: false };
  await alice.submitTask(buildTaskParameters({ ...wanted, commandLine: 'prun' }, 'panda', sandbox));
  const [job] = await pilot.acquireJobs({ site_name: 'default' });
  assert.ok(job);
  const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
  const append = (offset: number, text: string, by = pilot) =>
    by.appendJobLog({ ...attempt, offset }, Buffer.from(text));
  const read = async (offset = 0) => {
    const { content, next: _next, ...rest } = await alice.getJobLog({ job_id: job.PandaID, offset });
    return { text: content.toString(), ...rest };
  };
  const kept = () => readdirSync(join(server.folder, 'blobs', 'live'));
  return { server, clientOf, alice, pilot, job, attempt, append, read, kept };
}

test('what a pilot appends is what the owner reads, from any byte on', async (t) => {
  const { append, read, job } = await setUp(t);
  assert.deepEqual(await read(), { text: '', job_id: job.PandaID, attempt: 1, offset: 0, log_file: null });
  assert.deepEqual(await append(0, 'one\n'), { size: 4, full: false });
  assert.deepEqual(await append(0, 'one\ntwo\n'), { size: 8, full: false });
  assert.deepEqual(await append(99, 'lost\n'), { size: 8, full: false });
  assert.equal((await read()).text, 'one\ntwo\n');
  assert.equal((await read(4)).text, 'two\n');
  assert.equal((await read(1000)).text, '');
});

test('the whole log takes its place, and a part that comes late changes nothing', async (t) => {
  const { append, read, pilot, attempt, job, kept } = await setUp(t);
  await append(0, 'one\n');
  assert.equal(kept().length, 1);
  await pilot.uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, Readable.from(['packed']));
  assert.deepEqual(kept(), []);
  assert.deepEqual(await append(4, 'late\n'), { size: 4, full: true });
  assert.deepEqual(kept(), []);
  assert.equal((await read()).log_file, job.logFile);
});

test('signed parts are read as they came, each with its signature, and so is that of the whole log', async (t) => {
  const { alice, pilot, attempt, job, kept } = await setUp(t);
  const sign = (offset: number, text: string, signature: string) =>
    pilot.appendJobLog({ ...attempt, offset, signature }, Buffer.from(text));
  const { size } = await sign(0, 'one\n', 'AAAA.BBBB');
  await sign(size, 'two\n', 'CCCC.DDDD');
  const { content, parts, next } = await alice.getJobLog({ job_id: job.PandaID });
  assert.equal(content.toString(), 'one\ntwo\n');
  assert.deepEqual(parts, [
    { size: 4, signature: 'AAAA.BBBB' },
    { size: 4, signature: 'CCCC.DDDD' },
  ]);
  const more = await alice.getJobLog({ job_id: job.PandaID, offset: next });
  assert.deepEqual([more.parts, more.next], [[], next]);
  await assert.rejects(sign(next, 'x', 'no word'), Refused);
  const file = { ...attempt, kind: 'log', name: job.logFile, signature: 'EEEE.FFFF' } as const;
  await pilot.uploadJobFile(file, Readable.from(['packed']));
  assert.deepEqual(kept(), []);
  const { log_file, log_signature } = await alice.getJobLog({ job_id: job.PandaID });
  assert.deepEqual([log_file, log_signature], [job.logFile, 'EEEE.FFFF']);
});

test("nobody reads another one's log, and no other pilot adds to it", async (t) => {
  const { append, read, server, clientOf, attempt, pilot } = await setUp(t);
  await append(0, 'one\n');
  const bob = clientOf(await server.userToken('bob'));
  await assert.rejects(bob.getJobLog({ job_id: attempt.job_id }), /you have no job/);
  const thief = clientOf(await server.pilotToken());
  await assert.rejects(append(4, 'forged\n', thief), Refused);
  await assert.rejects(append(4, 'forged\n', bob), Refused);
  await pilot.updateJob({ ...attempt, job_status: 'failed' });
  await assert.rejects(append(4, 'after the end\n'), Refused);
  assert.equal((await read()).text, 'one\n', 'what a lost pilot sent stays to be read');
});

test('a part has a largest size', async (t) => {
  const { append, read } = await setUp(t);
  await append(0, 'x'.repeat(MAX_LIVE_LOG_PART_BYTES));
  await assert.rejects(append(0, 'x'.repeat(MAX_LIVE_LOG_PART_BYTES + 1)), /too large/i);
  assert.equal((await read()).text.length, MAX_LIVE_LOG_PART_BYTES);
});

test('arguments that make no sense are refused', async (t) => {
  const { alice, append } = await setUp(t);
  await assert.rejects(append(-1, 'x'), Refused);
  await assert.rejects(alice.getJobLog({ job_id: 1, offset: -1 }), Refused);
  await assert.rejects(alice.getJobLog({ job_id: 0 }), Refused);
});
