import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refused, Unauthenticated, Unavailable } from '../../../src/protocol/errors.ts';
import { DOWN, stubBatch, stubLauncher, stubServer } from './stubs.ts';

function parts(limits: Parameters<typeof stubLauncher>[2] = {}, slots = 1) {
  const batch = stubBatch();
  const server = stubServer();
  return { batch, server, ...stubLauncher(batch, server, limits, { slots }) };
}

test('nothing is submitted while nothing waits, and no more than waits', async () => {
  const { batch, server, rounds } = parts();
  await rounds(5);
  assert.equal(batch.jobs.size, 0);
  server.waiting = 3;
  await rounds(5);
  assert.equal(batch.jobs.size, 3);
});

test('10,000 jobs that wait bring no more than the limits say', async () => {
  const { batch, server, rounds } = parts({ maxQueued: 7, maxPilots: 12 });
  server.waiting = 10_000;
  await rounds(5);
  assert.equal(batch.jobs.size, 7);
  batch.startAll();
  server.running = 7;
  await rounds(5);
  assert.equal(batch.jobs.size, 12);
});

test('a pilot of four slots is for four jobs, and for more with a backlog', async () => {
  const four = parts({}, 4);
  four.server.waiting = 20;
  await four.rounds(3);
  assert.equal(four.batch.jobs.size, 5);
  const short = parts({ backlog: 5 }, 4);
  short.server.waiting = 20;
  await short.rounds(3);
  assert.equal(short.batch.jobs.size, 1);
});

test('jobs that wait beside free slots bring no pilot, nor do those that fit into none', async () => {
  const { batch, server, rounds } = parts();
  server.waiting = 2;
  await rounds(1);
  batch.startAll();
  await rounds(3);
  assert.equal(batch.jobs.size, 2);
  server.running = 2;
  server.waiting = 5;
  const need = { cores: 1, memory_mb: 0, walltime_seconds: 0 };
  server.needs = [
    { ...need, cores: 8, jobs: 2 },
    { ...need, memory_mb: 64_000, jobs: 1 },
    { ...need, walltime_seconds: 7200, jobs: 1 },
    { ...need, jobs: 1 },
  ];
  await rounds(3);
  assert.equal(batch.jobs.size, 3);
});

test('a token is made when the pilot runs, and not before, once', async () => {
  const { batch, server, rounds } = parts();
  server.waiting = 1;
  await rounds(3);
  assert.ok(!server.calls.includes('createJoinToken'));
  batch.startAll();
  await rounds(5);
  assert.equal(server.calls.filter((call) => call === 'createJoinToken').length, 1);
  assert.equal(batch.jobs.get('1')?.token, 'join-1.SECRET');
});

test('a token that cannot be handed over is void, and a pilot without one is given up', async () => {
  const { batch, server, said, rounds } = parts();
  server.waiting = 1;
  await rounds(1);
  batch.startAll();
  server.waiting = 0;
  batch.unhanded = new Refused('sbcast: no such folder', null);
  await rounds(1);
  assert.equal(server.calls.filter((call) => call === 'createJoinToken').length, 1);
  assert.equal(server.tokens.size, 0, 'it is taken back at once');
  await rounds(10);
  assert.equal(server.tokens.size, 0);
  assert.equal(batch.jobs.size, 0);
  assert.ok(said.includes('the token of pilot 1: sbcast: no such folder'));
  assert.equal(said.filter((line) => line.includes('no such folder')).length, 1);
});

test('the end of a pilot is told to the server, with its reason, until it is answered', async () => {
  const { batch, server, launcher, rounds } = parts();
  server.waiting = 1;
  await rounds(1);
  batch.startAll();
  await rounds(1);
  server.waiting = 0;
  batch.jobs.set('1', { state: 'gone', reason: 'time limit reached' });
  server.trouble = new Unavailable('the server is away');
  await rounds(3);
  assert.equal(launcher.pilots, 1);
  server.trouble = undefined;
  await rounds(20);
  assert.deepEqual(server.ends, [['1', 'time limit reached']]);
  assert.equal(launcher.pilots, 0);
});

test('a batch system that is away costs few commands, and ends no pilot', async () => {
  const { batch, server, said, rounds } = parts();
  server.waiting = 2;
  await rounds(1);
  batch.startAll();
  await rounds(1);
  batch.trouble = DOWN;
  const before = batch.calls.length;
  await rounds(360);
  // An hour, of which each pause is at most ten minutes.
  assert.ok(batch.calls.length - before < 15, `${batch.calls.length - before} commands`);
  assert.equal(said.filter((line) => line.includes('unable to contact')).length, 1);
  batch.trouble = undefined;
  await rounds(70);
  assert.deepEqual(server.ends, []);
  assert.ok(said.includes('the batch system: works again'));
});

test('a refused submission is said once, and tried less and less often', async () => {
  const { batch, server, said, rounds } = parts();
  server.waiting = 100;
  batch.refusal = new Refused('sbatch: invalid account', null);
  await rounds(360);
  assert.ok(batch.calls.filter((call) => call === 'submit').length < 15);
  assert.equal(said.filter((line) => line.includes('invalid account')).length, 1);
});

test('pilots that fail at once do not flood the batch system', async () => {
  const { batch, server, rounds } = parts({ maxQueued: 1 });
  server.waiting = 1000;
  for (let round = 0; round < 720; round++) {
    await rounds(1, 5);
    batch.startAll();
    await rounds(1, 5);
    for (const id of batch.jobs.keys())
      batch.jobs.set(id, { state: 'gone', reason: 'exit status 127', hasFailed: true });
    await rounds(1, 5);
    for (const [id, { state }] of batch.jobs) if (state === 'gone') batch.jobs.delete(id);
  }
  // Three hours in which a pilot every 15 seconds would be 720.
  assert.ok(batch.calls.filter((call) => call === 'submit').length < 60);
});

test('a new launcher takes over what it finds, also the end of what is gone by then', async () => {
  const { batch, server, rounds } = parts();
  server.waiting = 4;
  await rounds(1);
  for (const id of ['1', '2', '3']) batch.jobs.set(id, { state: 'running' });
  await rounds(1);
  server.tokens.clear();
  server.joined = new Set(['1', '2', '3']);
  batch.jobs.delete('2');
  const next = stubLauncher(batch, server);
  server.running = 2;
  server.waiting = 1;
  await next.rounds(3);
  assert.deepEqual(
    server.ends.map(([id]) => id),
    ['2'],
  );
  assert.deepEqual([...batch.jobs.keys()], ['1', '3', '4']);
  assert.equal(server.calls.filter((call) => call === 'createJoinToken').length, 3);
});

test('pilots that joined are not given up when the server makes them no other token', async () => {
  const { batch, server, rounds } = parts();
  batch.jobs.set('7', { state: 'running' });
  await rounds(1);
  server.tokens.clear();
  server.joined.add('7');
  const next = stubLauncher(batch, {
    ...server,
    listBatchJobs: async () => (next.said.length > 0 ? server.listBatchJobs({ queue: '' }) : []),
  });
  await next.rounds(10);
  assert.ok(batch.jobs.has('7'));
});

test('what is too much is cancelled, after a while', async () => {
  const { batch, server, rounds } = parts();
  server.waiting = 8;
  await rounds(1);
  server.waiting = 2;
  await rounds(3);
  assert.equal(batch.jobs.size, 8);
  await rounds(10);
  assert.equal(batch.jobs.size, 2);
});

test('a launcher that drains submits nothing, cancels what waits, and serves what runs to its end', async () => {
  const { batch, server, launcher, rounds } = parts();
  server.waiting = 5;
  await rounds(1);
  batch.jobs.set('1', { state: 'running' });
  launcher.drain();
  await rounds(3);
  assert.deepEqual([...batch.jobs.keys()], ['1']);
  assert.ok(batch.jobs.get('1')?.token);
  assert.equal(launcher.pilots, 1);
  batch.jobs.set('1', { state: 'gone', reason: 'the pilot ended by itself' });
  await rounds(1);
  assert.equal(launcher.pilots, 0);
});

test('pilots that will not start are said', async () => {
  const { batch, server, said, rounds } = parts();
  server.waiting = 1;
  await rounds(1);
  batch.jobs.set('1', { state: 'pending', reason: 'PartitionTimeLimit', isStuck: true });
  await rounds(5);
  assert.deepEqual(
    said.filter((line) => line.includes('will not start')),
    ['pilot 1 will not start: PartitionTimeLimit'],
  );
});

test('a launcher whose token is refused ends', async () => {
  const { server, launcher } = parts();
  server.trouble = new Unauthenticated('this token is void');
  await assert.rejects(launcher.round(), { code: 'ERR_UNAUTHENTICATED' });
});
