import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { Refused } from '../../src/protocol/errors.ts';
import { MAX_LIVE_LOG_PART_BYTES } from '../../src/protocol/limits.ts';
import { until } from '../pilot/folders.ts';
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
  assert.deepEqual(await read(), { text: '', job_id: job.PandaID, attempt: 1, offset: 0, more: false, log_file: null });
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

test('an answer waits for more of a log, and comes as soon as there is more, or the whole log', async (t) => {
  const { alice, append, attempt, pilot, job } = await setUp(t);
  const wait = (offset: number) => alice.getJobLog({ job_id: job.PandaID, offset, wait_seconds: 60 });
  const first = wait(0);
  await append(0, 'one\n');
  assert.equal((await first).content.toString(), 'one\n');
  assert.equal((await wait(2)).content.toString(), 'e\n', 'there is more already');
  const [second, another, third] = [wait(4), wait(4), wait(10)];
  await append(2, 'e\ntwo\n');
  for (const answer of [await second, await another]) {
    assert.equal(answer.content.toString(), 'two\n');
    assert.deepEqual([answer.next, answer.more, answer.log_file], [8, false, null]);
  }
  await append(8, 'three\n');
  assert.equal((await third).content.toString(), 'ree\n', 'where it is behind what came first');
  const whole = wait(14);
  await pilot.uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, Readable.from(['packed']));
  assert.deepEqual([(await whole).content.toString(), (await whole).log_file], ['', job.logFile]);
  assert.equal((await wait(0)).log_file, job.logFile, 'nothing is waited for then');
});

test('an answer waits for a signed part as well', async (t) => {
  const { alice, pilot, attempt, job } = await setUp(t);
  const sign = (offset: number, text: string, signature: string) =>
    pilot.appendJobLog({ ...attempt, offset, signature }, Buffer.from(text));
  const wait = (offset: number) => alice.getJobLog({ job_id: job.PandaID, offset, wait_seconds: 60 });
  const { size } = await sign(0, 'one\n', 'AAAA.BBBB');
  const waiting = wait(size);
  await sign(size, '', 'CCCC.DDDD');
  const { content, parts } = await waiting;
  assert.deepEqual([content.toString(), parts], ['', [{ size: 0, signature: 'CCCC.DDDD' }]]);
});

test('only the owner waits, and only for a log that may grow; the end of the server is an end of it', async (t: TestContext) => {
  const { alice, pilot, attempt, job, append, server, clientOf } = await setUp(t);
  await append(0, 'one\n');
  const from = { job_id: job.PandaID, offset: 4, wait_seconds: 60 };
  const bob = clientOf(await server.userToken('bob'));
  // A client asks one thing after another.
  const again = clientOf(await server.userToken('alice'));
  // From now on nothing ends by its time.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const waiting = alice.getJobLog(from);
  await assert.rejects(bob.getJobLog(from), /you have no job/);
  assert.equal((await again.getJobLog({ ...from, attempt: 7 })).content.length, 0);
  await pilot.updateJob({ ...attempt, job_status: 'finished' });
  assert.equal((await again.getJobLog(from)).content.length, 0);
  await server.stop();
  t.mock.timers.reset();
  assert.equal((await waiting).content.length, 0);
});

test('the time that an answer waits is not told as time that it took', async (t) => {
  const { alice, job, server } = await setUp(t);
  const since = performance.now();
  await alice.getJobLog({ job_id: job.PandaID, offset: 4, wait_seconds: 1 });
  const took = performance.now() - since;
  const told = () => Number(/"path":"\/api\/v1\/job\/get_log".*?"ms":([\d.]+)/.exec(server.logs())?.[1]);
  const ms = await until(told, (seen) => !Number.isNaN(seen));
  assert.ok(took - ms > 900, `${took} ms, of which ${ms} are told`);
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
