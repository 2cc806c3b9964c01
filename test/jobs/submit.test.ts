import assert from 'node:assert/strict';
import { MAX_JOBS_PER_TASK } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { openFarm, submission } from './farm.ts';

eachStore('a task is split into its jobs, which are given out in their order', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 3 });
  assert.ok(taskId >= 10_000_000);
  const jobs = await farm.acquire('p');
  assert.deepEqual(
    jobs.map((job) => [job.taskId, job.serial, job.attempt, job.ownerName]),
    [1, 2, 3].map((serial) => [taskId, serial, 1, 'The alice']),
  );
  assert.match(jobs[1]?.logName ?? '', new RegExp(`\\.${taskId}\\.000002\\.log\\.tgz$`));
});

eachStore('a task of as many jobs as are allowed is split at once', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: MAX_JOBS_PER_TASK });
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.deepEqual([task.state, task.jobs.total, task.jobs.waiting], ['ready', MAX_JOBS_PER_TASK, MAX_JOBS_PER_TASK]);
});

eachStore('a task for an unknown queue is refused with the names of the queues', async (t, database) => {
  const farm = await openFarm(t, database);
  await assert.rejects(farm.submit({ queue: 'moon' }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: 'site: there is no queue "moon"; the queues are default, gpu',
  });
});

eachStore('a name that an active task has is refused with its id, for its owner alone', async (t, database) => {
  const farm = await openFarm(t, database);
  const { taskId } = await farm.jobs.submit(farm.alice, submission('user.alice.same'));
  await assert.rejects(farm.jobs.submit(farm.alice, submission('user.alice.same')), {
    code: 'ERR_ALREADY_EXISTS',
    message: new RegExp(`^jediTaskID=${taskId} is in the ready state`),
  });
  await farm.jobs.submit(farm.bob, submission('user.alice.same'));
  await farm.jobs.submit(farm.alice, submission('user.alice.same', { uniqueTaskName: false }));
});

eachStore('a name is free again after its task ended without success', async (t, database) => {
  const farm = await openFarm(t, database);
  const { taskId } = await farm.jobs.submit(farm.alice, submission('user.alice.same'));
  await farm.jobs.kill(farm.alice, taskId);
  const again = await farm.jobs.submit(farm.alice, submission('user.alice.same'));
  assert.notEqual(again.taskId, taskId);
  await assert.rejects(farm.jobs.retry(farm.alice, taskId), { code: 'ERR_CONFLICT', message: /has taken the name/ });
});

eachStore('of many tasks that are submitted under one name at once, one is taken', async (t, database) => {
  const farm = await openFarm(t, database);
  const other = await farm.replica();
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => (n % 2 ? farm.jobs : other).submit(farm.alice, submission('user.alice.same'))),
  );
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.code, 'ERR_ALREADY_EXISTS');
  }
});

eachStore('a task that no pilot could run is refused before it is taken', async (t, database) => {
  const farm = await openFarm(t, database);
  const bad = (value: string) => submission('user.alice.bad', { jobParameters: [{ type: 'constant', value }] });
  const submit = (value: string) => farm.jobs.submit(farm.alice, bad(value));
  await assert.rejects(submit('-r .'), /-p with the command is missing/);
  await assert.rejects(submit('-p "ls" --rootVer 6'), /"--rootVer" is not offered/);
  await assert.rejects(submit(`-p "ls" -o "{'a': 'b'}"`), /-o must name the same files as the outputs, not "b"/);
  assert.deepEqual(await farm.jobs.listTasks(farm.alice), []);
});
