import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import * as calls from '../../src/protocol/calls/pilot.ts';
import { Refused } from '../../src/protocol/errors.ts';
import { wireName } from '../../src/protocol/names.ts';
import type { SealingKey } from '../../src/protocol/sealed.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { ofEarlierPilot } from '../sealing/seal.ts';
import { startServer, type TestServer } from './start.ts';

function clientOf(t: Parameters<typeof startServer>[0], server: TestServer, token: string): Client {
  const client = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

/** Uploads a sandbox and submits a task of one job, as `prun` does. */
async function submit(
  alice: Client,
  options: { useSecrets?: boolean; jobs?: number; name?: string; archive?: Buffer } = {},
): Promise<number> {
  const { archive = gzipSync(`not really a tar, ${randomUUID()}`) } = options;
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, archive);
  const { name = randomUUID().slice(0, 8), jobs = 1, useSecrets = false } = options;
  const task = {
    exec: 'true',
    outDataset: `user.alice.${name}`,
    outputs: ['out.txt'],
    jobs,
    useSecrets,
    commandLine: 'prun',
  };
  return (await alice.submitTask(buildTaskParameters(task, 'panda', sandbox))).taskId;
}

async function setUp(t: Parameters<typeof startServer>[0]) {
  const server = await startServer(t);
  const alice = clientOf(t, server, await server.userToken('alice'));
  return { server, alice, ...(await server.joinedPilot()) };
}

test('a job reaches a pilot with its secrets sealed to that one request, and its results come back', async (t) => {
  const { server, alice, pilot, session } = await setUp(t);
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  const taskId = await submit(alice, { useSecrets: true });
  const recipient = await newRecipient();
  const [job] = await pilot.acquireJobs({ site_name: 'default', node: 'node1', sealing_keys: recipient.offers });
  assert.ok(job?.sealedSecrets);
  assert.equal(job.secrets, undefined);
  const { pilotId } = session;
  const context = { jobId: job.PandaID, attempt: job.attemptNr, ownerId: job.sealedSecrets.owner, pilotId };
  const opened = await recipient.open(job.sealedSecrets, context);
  assert.equal(Buffer.from(opened).toString(), '{"MY_SECRET":"random_string"}');

  const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
  assert.equal((await pilot.updateJob({ ...attempt, job_status: 'running' })).command, 'NULL');
  const name = job.logFile;
  const log = join(server.folder, 'log');
  await writeFile(log, 'the log');
  await pilot.uploadJobFile({ ...attempt, kind: 'log', name }, log);
  await pilot.updateJob({ ...attempt, job_status: 'finished', trans_exit_code: 0 });
  assert.equal(await alice.getTaskStatus(taskId), 'done');
  const [file] = await alice.getJobFiles(taskId);
  assert.deepEqual([file?.kind, file?.size], ['log', 7]);
  assert.ok(file);
  assert.equal(await text(await alice.getJobFile(file)), 'the log');
  const [delivery] = await alice.getSecretDeliveries({ name: wireName('MY_SECRET') });
  assert.deepEqual(
    [delivery?.job_id, delivery?.node, delivery?.sealed_with],
    [job.PandaID, 'node1', recipient.offers[0]?.kem],
  );
});

test('the jobs of an answer share an encapsulation, where their pilot says that it opens such', async (t) => {
  const { alice, pilot, session } = await setUp(t);
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  await submit(alice, { useSecrets: true, jobs: 6 });
  for (const format of [1, 2] as const) {
    const recipient = await newRecipient();
    const sealing_keys = format === 1 ? ofEarlierPilot(recipient.offers) : recipient.offers;
    const jobs = await pilot.acquireJobs({ site_name: 'default', n_jobs: 3, sealing_keys });
    assert.equal(jobs.length, 3);
    assert.deepEqual(
      jobs.map(({ sealedSecrets }) => sealedSecrets?.format),
      Array(3).fill(format),
    );
    assert.equal(new Set(jobs.map(({ sealedSecrets }) => sealedSecrets?.enc)).size, format === 1 ? 3 : 1);
    for (const { PandaID: jobId, attemptNr: attempt, sealedSecrets } of jobs) {
      assert.ok(sealedSecrets);
      const context = { jobId, attempt, ownerId: sealedSecrets.owner, pilotId: session.pilotId };
      assert.equal(
        Buffer.from(await recipient.open(sealedSecrets, context)).toString(),
        '{"MY_SECRET":"random_string"}',
      );
    }
  }
});

test('a pilot that offers no key gets no secrets, and is told why, unless its queue allows TLS alone', async (t) => {
  const { server, alice } = await setUp(t);
  const pilotToken = await server.pilotToken();
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  await submit(alice, { useSecrets: true });
  const refused = await server.ask(pilotToken, calls.acquireJobs, { site_name: 'default' });
  assert.equal(refused.success, false);
  assert.match(refused.message, /^No jobs in PanDA.*1 waiting need secrets.*"default"/);

  const older = await server.pilotToken('older', { allowTlsSecrets: true });
  const { data } = await server.ask(older, calls.acquireJobs, { site_name: 'older' });
  const [job] = (data as { jobs: calls.PilotJob[] }).jobs;
  assert.equal(job?.secrets, '{"MY_SECRET":"random_string"}');
});

test('a pilot whose token is no proof gets no secrets for a key that it offers', async (t) => {
  const { server, alice } = await setUp(t);
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  const taskId = await submit(alice, { useSecrets: true });
  const { offers } = await newRecipient();
  const asked = { site_name: 'default', sealing_keys: offers };
  const refused = await server.ask(await server.pilotToken(), calls.acquireJobs, asked);
  assert.equal(refused.success, false);
  assert.match(refused.message, /^No jobs in PanDA.*1 waiting need secrets.*which it proves to be its own$/);
  assert.equal(await alice.getTaskStatus(taskId), 'ready');
  assert.deepEqual(await alice.getSecretDeliveries(), []);
});

test('a pilot whose sealing key cannot be used is told why, and costs no job an attempt', async (t) => {
  const { alice, pilot } = await setUp(t);
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  await submit(alice, { useSecrets: true, jobs: 3 });
  const { offers } = await newRecipient();
  const acquire = (sealing_keys: readonly { kem: string; public_key: string }[]) =>
    pilot.acquireJobs({ site_name: 'default', n_jobs: 10, sealing_keys: sealing_keys as SealingKey[] });
  // Coefficients of ML-KEM are below 3329.
  const tooLarge = offers.map((offer) => ({ ...offer, public_key: `____${offer.public_key.slice(4)}` }));
  const unusable = [
    { keys: [{ kem: 'X25519', public_key: 'AAAA' }], reason: /an offered X25519 key must be 32 bytes/ },
    { keys: [...offers.slice(-1), ...offers.slice(-1)], reason: /more than one X25519 key is offered/ },
    { keys: [{ kem: 'MLKEM1024-P384', public_key: 'AAAA' }], reason: /no public key is offered whose kem/ },
    ...(offers.length > 1 ? [{ keys: tooLarge, reason: /an offered MLKEM768-X25519 key is not a valid/ }] : []),
  ];
  for (const { keys, reason } of unusable) await assert.rejects(acquire(keys), reason);
  const jobs = await acquire(offers);
  assert.deepEqual(
    jobs.map(({ attemptNr, sealedSecrets }) => [attemptNr, sealedSecrets !== undefined]),
    [
      [1, true],
      [1, true],
      [1, true],
    ],
  );
});

test('a pilot that asks for many jobs gets as many as one answer carries with their secrets, and the others later', async (t) => {
  const { server, alice } = await setUp(t);
  for (let n = 0; n < 17; n++) await alice.setSecret(wireName(`LARGE_${n}`), 'x'.repeat(1_000_000));
  await submit(alice, { useSecrets: true, jobs: 6 });
  const token = await server.pilotToken('older', { allowTlsSecrets: true });
  const takeJobs = async (count: number) => {
    const { data } = await server.ask(token, calls.acquireJobs, { site_name: 'older', n_jobs: count });
    return (data as { jobs: calls.PilotJob[] }).jobs;
  };
  const [first, second] = [await takeJobs(6), await takeJobs(6)];
  assert.deepEqual([first.length, second.length], [4, 2]);
  const jobs = [...first, ...second];
  assert.equal(new Set(jobs.map(({ PandaID }) => PandaID)).size, 6);
  assert.ok(jobs.every(({ secrets = '' }) => secrets.length > 17_000_000));
});

test('a pilot serves the queues of its token and no other', async (t) => {
  const { server, alice } = await setUp(t);
  await submit(alice);
  const other = await server.pilotToken('other');
  const refused = await server.ask(other, calls.acquireJobs, { site_name: 'default' });
  assert.equal(refused.success, false);
  assert.match(refused.message, /token is for other, not for "default"/);
  const none = await server.ask(await server.pilotToken(), calls.acquireJobs, { site_name: 'default', n_jobs: 0 });
  assert.equal(none.success, true, 'the job is still there');
});

test('a pilot whose clock is wrong by years is served, since it follows the server', async (t) => {
  const server = await startServer(t, { clock: () => Date.now() + 5 * 365 * 24 * 3600 * 1000 });
  const { pilot } = await server.joinedPilot();
  assert.deepEqual(await pilot.acquireJobs({ site_name: 'default' }), []);
});

test("a pilot cannot touch another one's attempt", async (t) => {
  const { server, alice, pilot } = await setUp(t);
  const taskId = await submit(alice);
  const [job] = await pilot.acquireJobs({ site_name: 'default' });
  assert.ok(job);
  const thief = clientOf(t, server, await server.pilotToken());
  const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
  await assert.rejects(thief.updateJob({ ...attempt, job_status: 'finished' }), Refused);
  assert.equal((await thief.updateJob({ ...attempt, job_status: 'running' })).command, 'tobekilled');
  await assert.rejects(
    thief.uploadJobFile({ ...attempt, kind: 'log', name: 'log.tgz' }, Readable.from(['x'])),
    Refused,
  );
  const { data } = await server.ask(await server.pilotToken(), calls.getPilotJobStatus, { job_ids: [job.PandaID] });
  assert.deepEqual(data, [{ job_id: job.PandaID, status: 'not found', attempt_number: 0 }]);
  assert.deepEqual(await alice.getJobFiles(taskId), []);
  assert.equal((await pilot.updateJob({ ...attempt, job_status: 'running' })).command, 'NULL');
});

test('a killed task tells its pilots so, and other users can do nothing to it', async (t) => {
  const { server, alice, pilot } = await setUp(t);
  const taskId = await submit(alice, { jobs: 2 });
  const [job] = await pilot.acquireJobs({ site_name: 'default' });
  assert.ok(job);
  const bob = clientOf(t, server, await server.userToken('bob'));
  for (const attack of [
    () => bob.killTask(taskId),
    () => bob.finishTask(taskId),
    () => bob.retryTask(taskId),
    () => bob.pauseTask(taskId),
    () => bob.getTaskStatus(taskId),
    () => bob.getTaskDetails(taskId),
    () => bob.getJobIds(taskId),
    () => bob.getJobFiles(taskId),
    () => bob.getJobFile({ job_id: job.PandaID, attempt: 1, name: job.logFile }),
  ]) {
    await assert.rejects(attack(), Refused);
  }
  assert.deepEqual(await bob.listTasks(), []);
  assert.deepEqual(await bob.getJobDescription([job.PandaID]), [null]);

  await alice.killTask(taskId);
  const beat = { job_id: job.PandaID, attempt_nr: job.attemptNr, job_status: 'running' };
  assert.equal((await pilot.updateJob(beat)).command, 'tobekilled');
});

test('a task is submitted, seen in every way and refused a second time under its name', async (t) => {
  const { alice } = await setUp(t);
  const taskId = await submit(alice, { name: 'once', jobs: 2 });
  const [task] = await alice.listTasks({ filters: { taskName: 'user.alice.once/' } });
  assert.deepEqual([task?.jediTaskID, task?.nfiles, task?.userName], [taskId, 2, 'alice']);
  assert.equal((await alice.getTaskDetails(taskId))['taskName'], 'user.alice.once/');
  const ids = await alice.getJobIds(taskId);
  assert.equal(ids.length, 2);
  assert.deepEqual(
    (await alice.getJobDescription(ids)).map((job) => [job?.PandaID, job?.jobStatus]),
    ids.map((id) => [id, 'activated']),
  );
  await assert.rejects(submit(alice, { name: 'once' }), (error: Refused) => error.data === 1);
});

test('a sandbox is uploaded once per content, found by its owner alone', async (t) => {
  const { server, alice } = await setUp(t);
  const archive = gzipSync('x'.repeat(100_000));
  const name = `jobO.${randomUUID()}.tar.gz`;
  await alice.uploadSandbox(name, archive);
  const [checksum, size] = [archive.readUInt32LE(archive.length - 8), archive.length];
  assert.equal((await alice.findSandbox(size, checksum))?.fileName, name);
  assert.equal(await clientOf(t, server, await server.userToken('bob')).findSandbox(size, checksum), undefined);
});

test('a sandbox is downloaded with a session or by its name alone, until its task ends', async (t) => {
  const { server, alice, pilot, session } = await setUp(t);
  const archive = gzipSync('x'.repeat(100_000));
  const taskId = await submit(alice, { archive });
  const found = await alice.findSandbox(archive.length, archive.readUInt32LE(archive.length - 8));
  const address = `${server.url}/cache/${found?.fileName}`;
  const plain = async (headers = {}) => Buffer.from(await (await fetch(address, { headers })).arrayBuffer());

  assert.deepEqual(await buffer(await pilot.downloadSandbox(address)), archive);
  assert.deepEqual(await plain(), archive, "PanDA's own pilot has no token here");
  assert.match(String(await plain({ authorization: 'Bearer forged' })), /"success":false/);
  const headers = { authorization: `DPoP ${session.pilotId}` };
  assert.match(
    String(await plain(headers)),
    /the header \\"DPoP\\" is missing/,
    'a session is nothing without its key',
  );

  await alice.killTask(taskId);
  assert.match(String(await plain()), /no sandbox jobO\..* of a task that has not ended/);
  await assert.rejects(pilot.downloadSandbox(address), Refused, 'the pilot is told so, and goes on');
  const unknown = await fetch(`${server.url}/cache/jobO.${randomUUID()}.tar.gz`);
  assert.equal(((await unknown.json()) as { success: boolean }).success, false);
});

test('a sandbox that is too large or is none is refused', async (t) => {
  const { alice } = await setUp(t);
  const tooLarge = Buffer.alloc(11 * 1024 * 1024, 1);
  tooLarge.set([0x1f, 0x8b]);
  await assert.rejects(alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, tooLarge), /larger than the 10485760 bytes/);
  await assert.rejects(alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, Buffer.from('plain')), /gzip/);
  await assert.rejects(alice.uploadSandbox('../../root-keys', gzipSync('x')), /not the name of a sandbox/);
});

test('a sandbox whose upload breaks off is not kept', async (t) => {
  const { server } = await setUp(t);
  const name = `sources.${randomUUID()}.tar.gz`;
  const part = `--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`;
  const headers = {
    authorization: `Bearer ${await server.userToken('alice')}`,
    'content-type': 'multipart/form-data; boundary=b',
  };
  const url = `${server.url}/api/v1/file_server/upload_cache_file`;
  for (const body of [part, `${part}\x1f\x8bhalf`, part.replace('"file"', '"other"'), '--b--\r\n', '']) {
    const { success } = (await (await fetch(url, { method: 'POST', headers, body })).json()) as { success: boolean };
    assert.equal(success, false, JSON.stringify(body));
  }
  await new Promise<void>((resolve) => {
    const sending = request(url, { method: 'POST', headers: { ...headers, 'content-length': 1000 } });
    sending.on('error', () => {}).on('close', resolve);
    sending.write(`${part}\x1f\x8bhalf`, () => sending.destroy());
  });
  await server.stop();
  assert.deepEqual(await readdir(join(server.folder, 'blobs')), ['incoming', 'live'], 'nothing was kept');
  assert.deepEqual(await readdir(join(server.folder, 'blobs', 'incoming')), []);
});
