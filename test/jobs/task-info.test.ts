import assert from 'node:assert/strict';
import type { TaskQuery } from '../../src/jobs/jobs.ts';
import type { JobTemplate } from '../../src/protocol/job-split.ts';
import { eachStore } from '../stores.ts';
import { openFarm, submission, taskParameters } from './farm.ts';

eachStore('tasks are listed newest first, those that every condition holds for', async (t, database) => {
  const farm = await openFarm(t, database);
  const one = (await farm.jobs.submit(farm.alice, submission('user.alice.one'))).taskId;
  farm.passSeconds(100);
  const two = (await farm.jobs.submit(farm.alice, submission('user.alice.two', { site: 'gpu' }))).taskId;
  await farm.jobs.kill(farm.alice, two);
  const list = async (query: TaskQuery = {}) =>
    (await farm.jobs.listTasks(farm.alice, query)).map(({ taskId }) => taskId);
  assert.deepEqual(await list(), [two, one]);
  assert.deepEqual(await list({ ids: [one] }), [one]);
  assert.deepEqual(await list({ ids: [one, two] }), [two, one]);
  assert.deepEqual(await list({ ids: [] }), []);
  assert.deepEqual(await list({ names: ['user.alice.two/'] }), [two]);
  assert.deepEqual(await list({ states: ['ready'] }), [one]);
  assert.deepEqual(await list({ states: ['ready'], ids: [two] }), []);
  assert.deepEqual(await list({ queues: ['gpu'] }), [two]);
  assert.deepEqual(await list({ ownerNames: ['The alice'] }), [two, one]);
  assert.deepEqual(await list({ ownerNames: ['The bob'] }), []);
  assert.deepEqual(await list({ modifiedSince: Date.UTC(2026, 0, 1) + 50_000 }), [two]);
  assert.deepEqual(await list({ limit: 1 }), [two]);
});

eachStore("the files of a task are those of each job's last attempt", async (t, database) => {
  const farm = await openFarm(t, database);
  const outputs = ['old.txt', 'a.txt', 'b.txt'];
  const { template } = submission('user.alice.x', taskParameters('user.alice.x', 'true', outputs));
  const taskId = await farm.submit({ jobCount: 2, template: named(template) });
  const [one, two] = await farm.acquire('p');
  assert.ok(one && two);
  const file = (name: string, digit: string) =>
    ({ name, kind: name === 'log.tgz' ? 'log' : 'output', sha256: digit.repeat(64), size: 5 }) as const;
  await farm.jobs.addFile('p', { ...two, ...file('log.tgz', '1') });
  await farm.jobs.addFile('p', { ...one, ...file('old.txt', '2') });
  await farm.jobs.report('p', { ...one, state: 'failed' });
  const again = await farm.acquireOne('p');
  await farm.jobs.addFile('p', { ...again, ...file('b.txt', '3') });
  await farm.jobs.addFile('p', { ...again, ...file('a.txt', '4') });
  await farm.jobs.addFile('p', { ...again, ...file('a.txt', '5') });
  assert.deepEqual(
    (await farm.jobs.listFiles(farm.alice, taskId)).map(({ serial, attempt, name, kind }) => [
      serial,
      attempt,
      name,
      kind,
    ]),
    [
      [1, 2, 'a.txt', 'output'],
      [1, 2, 'b.txt', 'output'],
      [2, 1, 'log.tgz', 'log'],
    ],
  );
  assert.equal((await farm.jobs.findFile(farm.alice, again.jobId, 2, 'a.txt')).sha256, '5'.repeat(64));
  assert.equal((await farm.jobs.findFile(farm.alice, one.jobId, 1, 'old.txt')).sha256, '2'.repeat(64));
  await assert.rejects(farm.jobs.addFile('p', { ...again, ...file('../x', '6') }), { code: 'ERR_INVALID_ARGUMENT' });
  for (const name of ['c.txt', 'LOG', 'log.tgz.1', 'constructor']) {
    const undeclared = { ...again, ...file(name, '6'), kind: 'output' } as const;
    await assert.rejects(farm.jobs.addFile('p', undeclared), /brings back no output/);
    await assert.rejects(farm.jobs.checkUpload('p', undeclared), /brings back no output/);
  }
});

/** The same template with short names of its files. */
function named(template: JobTemplate): JobTemplate {
  const text = JSON.stringify(template)
    .replaceAll(/user\.alice\.\$JEDITASKID\._\$\{SN\/P\}\./g, '')
    .replace(/"log":"[^"]*"/, '"log":"log.tgz"');
  return JSON.parse(text);
}
