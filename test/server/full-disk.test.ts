import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { RESERVE_BYTES } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';
import { until } from '../pilot/folders.ts';
import { fillDisk, freeBytes, smallDisk } from '../small-disk.ts';
import { startServer } from './start.ts';

const DISK_MEGABYTES = 80;
const FULL = /the server's disk is full, and nothing was kept: tell its operator, who can make room/;
const LARGE = 'x'.repeat(60_000);

test('on a full disk secrets are deleted and jobs end, what grows is refused, and all works when there is room', async (t) => {
  const data = smallDisk(t, DISK_MEGABYTES);
  if (!data) return;
  const server = await startServer(t, { settings: { data } });
  const { alice, pilot, submit } = await usersOf(server, t);
  const [kept, gone] = [wireName('KEPT', 'string'), wireName('GONE', 'string')];
  await alice.setSecret(kept, LARGE);
  await alice.setSecret(gone, LARGE);
  const taskId = await submit();
  const killed = await submit();
  await submit();
  const jobs = await pilot.acquireJobs({ site_name: 'default', n_jobs: 2 });
  assert.deepEqual(
    jobs.map((job) => job.taskID),
    [taskId, killed],
  );
  const [first, second] = jobs.map(({ PandaID, attemptNr }) => ({ job_id: PandaID, attempt_nr: attemptNr }));
  assert.ok(first && second);
  await pilot.updateJob({ ...first, job_status: 'running' });
  await reserveOf(data);
  fillDisk(join(data, 'room'));

  // SQLite has a little room in its files.
  await assert.rejects(async () => {
    for (;;) await alice.setSecret(kept, LARGE);
  }, FULL);
  await alice.deleteSecret(gone);
  assert.deepEqual([...(await alice.getSecrets()).keys()], [kept]);
  await assert.rejects(alice.setSecret(wireName('SMALL', 'string'), 'x'), FULL);
  await assert.rejects(submit(), FULL);
  await assert.rejects(alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('another')), FULL);
  await assert.rejects(pilot.acquireJobs({ site_name: 'default' }), FULL);
  await assert.rejects(pilot.appendJobLog({ ...first, offset: 0 }, Buffer.from('a line\n')), FULL);
  const log = { kind: 'log' as const, name: jobs[0]?.logFile ?? '' };
  await assert.rejects(pilot.uploadJobFile({ ...first, ...log }, Readable.from(['packed'])), FULL);

  await alice.killTask(killed);
  await pilot.updateJob({ ...first, job_status: 'finished', trans_exit_code: 0 });
  await pilot.updateJob({ ...second, job_status: 'failed', pilot_error_diag: 'it was killed' });
  assert.equal(await alice.getTaskStatus(taskId), 'done');
  assert.equal(await alice.getTaskStatus(killed), 'aborted');
  assert.match(server.logs(), /"level":50.*"part":"disk".*the disk is full: make room/);

  truncateSync(join(data, 'room'), 0);
  await server.installation.reserve.keep();
  await alice.setSecret(wireName('SMALL', 'string'), 'x');
  assert.equal((await pilot.acquireJobs({ site_name: 'default' })).length, 1);
  assert.equal(await reserveOf(data), RESERVE_BYTES);
  assert.match(server.logs(), /"level":30.*"part":"disk".*the disk has room again/);
});

test('a server that is killed on a full disk starts there again, and has lost nothing', async (t) => {
  const data = smallDisk(t, DISK_MEGABYTES);
  if (!data) return;
  const program = pandaSecrets(t);
  const start = () => program.serve(['--data', data]);
  let server = await start();
  await program.run(['user', 'add', 'alice', '--data', data]);
  const token = (await program.run(['token', 'alice', '--data', data])).stdout.trim();
  const asAlice = async <T>(act: (alice: Client) => Promise<T>): Promise<T> => {
    const alice = createClient({ url: server.url, token: async () => token, vo: 'panda' });
    try {
      return await act(alice);
    } finally {
      alice.close();
    }
  };
  const kill = async () => {
    server.process.kill('SIGKILL');
    await server.ended;
  };
  const [kept, gone] = [wireName('KEPT', 'string'), wireName('GONE', 'string')];
  await asAlice(async (alice) => {
    await alice.setSecret(gone, LARGE);
    await alice.setSecret(kept, 'a value');
  });
  await reserveOf(data);
  fillDisk(join(data, 'room'));
  // The reserve is there, and is what the next start needs.
  await kill();
  server = await start();
  let set = 0;
  await assert.rejects(
    asAlice(async (alice) => {
      for (;;) {
        await alice.setSecret(kept, `${LARGE}${set + 1}`);
        set += 1;
      }
    }),
    FULL,
  );
  const value = set === 0 ? 'a value' : `${LARGE}${set}`;
  await asAlice((alice) => alice.deleteSecret(gone));
  await kill();

  fillDisk(join(data, 'more'));
  server = await start();
  const secrets = await asAlice((alice) => alice.getSecrets());
  assert.deepEqual([...secrets.keys()], [kept]);
  assert.equal(secrets.get(kept)?.reveal(), value);
  await kill();

  for (const file of ['room', 'more']) truncateSync(join(data, file), 0);
  server = await start();
  await reserveOf(data);
  await asAlice((alice) => alice.setSecret(gone, LARGE));
  assert.ok(freeBytes(data) > 0);
});

/** Waits for the reserve to be whole. @returns its size */
function reserveOf(data: string): Promise<number> {
  const size = () => statSync(join(data, 'reserve'), { throwIfNoEntry: false })?.size ?? 0;
  return until(size, (bytes) => bytes === RESERVE_BYTES);
}

async function usersOf(server: Awaited<ReturnType<typeof startServer>>, t: Parameters<typeof startServer>[0]) {
  const clientOf = (token: string): Client => {
    const client = createClient({ url: server.url, token: async () => token, vo: 'panda' });
    t.after(() => client.close());
    return client;
  };
  const alice = clientOf(await server.userToken('alice'));
  const pilot = clientOf(await server.pilotToken());
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('not really a tar'));
  let tasks = 0;
  const submit = async () => {
    tasks += 1;
    const wanted = { exec: 'true', outDataset: `user.alice.${tasks}`, outputs: [], jobs: 1, useSecrets: false };
    return (await alice.submitTask(buildTaskParameters({ ...wanted, commandLine: 'prun' }, 'panda', sandbox))).taskId;
  };
  return { alice, pilot, submit };
}
