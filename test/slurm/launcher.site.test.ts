import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type Site, startSite, type User } from '../end-to-end/site.ts';
import { until } from '../pilot/folders.ts';
import { type KeptAttempt, readAttempts } from './attempts.ts';
import { type Cluster, noSlurm, processesWith, readProc, startCluster } from './cluster.ts';
import { prepareLauncher } from './launching.ts';
import { filesWithTraces, watchEverything } from './traces.ts';

const skip = noSlurm;
let cluster: Cluster;
before(async () => {
  if (!noSlurm) cluster = await startCluster({ nodes: 5, cpus: 2 });
});
after(() => cluster?.stop());

/** It does its work only where its secret is right, and says nothing. */
const QUICK = `python3 -c "import json; s = json.load(open('panda_secrets.json')); assert s['WHOSE'] == s['VALUE'][:3]" %RNDM:1`;
/** It ends with its pilot. */
const ENDLESS = 'test -s panda_secrets.json && sleep 1000 # %RNDM:1';

interface Owner {
  name: string;
  user: User;
  value: string;
}

async function userWithSecret(site: Site, name: string): Promise<Owner> {
  const user = await site.user(name);
  const value = `${name.slice(0, 3)}-${randomBytes(18).toString('base64url')}`;
  for (const [key, secret] of [
    ['WHOSE', name.slice(0, 3)],
    ['VALUE', value],
  ] as const) {
    assert.equal((await user.pbookWithInput(secret, 'set_secret', key, '-')).status, 0);
  }
  return { name, user, value };
}

async function submit({ name, user }: Owner, queue: string, command: string, ...options: string[]): Promise<number> {
  const ran = await user.prun(
    ...[
      '--exec',
      command,
      '--outDS',
      `user.${name}.${randomBytes(6).toString('hex')}`,
      '--useSecrets',
      '--secretsAs',
      'json',
      '--noBuild',
    ],
    ...['--site', queue, ...options],
  );
  const [, task] = /jediTaskID=(\d+)/.exec(ran.stdout + ran.stderr) ?? [];
  assert.ok(task, ran.stderr);
  return Number(task);
}

/** The process of the pilot in a batch job. */
function pilotIn(batchId: string): number {
  const [pid] = processesWith((variables) => variables.includes(`SLURM_JOB_ID=${batchId}`)).filter((pid) =>
    readProc(pid, 'cmdline').includes('--await-token'),
  );
  assert.ok(pid, `no pilot in batch job ${batchId}`);
  return pid;
}

test('a hundred jobs end once each, whatever happens to their pilots, and Slurm learns no value and no token', {
  skip,
}, async (t: TestContext) => {
  const site = await startSite(t);
  const queue = 'SLURM';
  const home = await prepareLauncher(t, site, cluster, {
    queue,
    lines: ['max_pilots = 20', 'max_queued = 20', 'minutes = 30'],
  });
  const [alice, bob] = await Promise.all([userWithSecret(site, 'alice'), userWithSecret(site, 'bob')]);
  const values = [alice.value, bob.value, home.token];
  const watched = watchEverything(
    t,
    values,
    ['state', 'spool', 'logs'].map((name) => join(cluster.folder, name)),
  );

  // Five jobs, each on a pilot and a node of its own.
  const doomed = await submit(alice, queue, ENDLESS, '--nJobs', '5', '--maxAttempt', '1');
  const first = home.start();
  const held = await until(
    () => readAttempts(site.data).filter(({ ended_at, state }) => ended_at === null && state === 'running'),
    (running) => running.length === 5,
  );
  const tasks = [
    doomed,
    ...(await Promise.all([
      submit(alice, queue, QUICK, '--nJobs', '45', '--maxAttempt', '10'),
      submit(bob, queue, QUICK, '--nJobs', '50', '--maxAttempt', '10'),
    ])),
  ];
  const [cancelled = '', killed = '', late = '', preempted = '', lost = ''] = held.map(({ batch_id }) =>
    String(batch_id),
  );
  const nodeOf = (id: string) => cluster.command('squeue', '-h', '-j', id, '-o', '%N');
  const [lostNode, preemptedNode, drainedNode] = [nodeOf(lost), nodeOf(preempted), nodeOf(killed)];

  cluster.command('scancel', cancelled);
  process.kill(pilotIn(killed), 'SIGKILL');
  cluster.command('scontrol', 'update', `jobid=${late}`, 'endtime=now+1');
  cluster.command('scontrol', 'update', `nodename=${drainedNode}`, 'state=drain', 'reason=test');
  await cluster.killNode(lostNode);
  cluster.command('sbatch', '-p', 'urgent', '-w', preemptedNode, '--exclusive', '-o', '/dev/null', '--wrap', 'sleep 3');
  await cluster.stopController();
  // Meanwhile the launcher goes too, and another one takes its pilots over.
  first.signal('SIGKILL');
  await first.ended;
  await cluster.startController();
  const second = home.start();
  await until(() => ended(site, lost), Boolean);
  cluster.startNode(lostNode);
  cluster.command('scontrol', 'update', `nodename=${drainedNode}`, 'state=resume');

  const jobs = await until(
    () => jobsOf(readAttempts(site.data)),
    (all) => all.length === 100 && all.every(([job]) => ['finished', 'failed'].includes(job?.job_state ?? '')),
  );
  for (const attempts of jobs) {
    const task = attempts[0]?.task_id ?? 0;
    assert.ok(tasks.includes(task));
    assert.ok(attempts.every(({ ended_at }) => ended_at !== null));
    const finished = attempts.filter(({ state }) => state === 'finished').length;
    assert.equal(finished, task === doomed ? 0 : 1);
  }

  // The owner reads why, once the launcher has told it.
  await until(
    () => readAttempts(site.data).filter(({ task_id }) => task_id === doomed),
    (five) => five.every(({ diagnosis }) => diagnosis.includes("its pilot's batch job")),
  );
  const shown = (await alice.user.pbook('show', String(doomed))).stdout;
  for (const [id, reason] of [
    [cancelled, 'cancelled at the batch system'],
    [killed, 'killed by signal 9'],
    [late, 'time limit reached'],
    [preempted, 'preempted'],
    [lost, `its node ${lostNode} was lost`],
  ] as const) {
    assert.match(shown, new RegExp(`its pilot's batch job ${id} ended: ${reason}`));
  }

  second.signal('SIGTERM');
  assert.equal(await second.ended, 0, second.said());
  const { commands, looks, files: passing, sightings } = await watched();
  t.diagnostic(`${commands} command lines and ${passing} files in ${looks} looks`);
  assert.deepEqual(sightings, []);
  const { files, found } = filesWithTraces(cluster.folder, [alice.value, bob.value]);
  t.diagnostic(`${files} files of Slurm's`);
  assert.deepEqual(found, []);
  // One of another test loses its name in a moment.
  await until(
    () => readdirSync('/dev/shm').filter((name) => name.startsWith('panda-pilot-handed-')),
    ({ length }) => length === 0,
  );
});

function ended(site: Site, batchId: string): boolean {
  const held = readAttempts(site.data).filter(({ batch_id }) => batch_id === batchId);
  return held.length > 0 && held.every(({ ended_at }) => ended_at !== null);
}

function jobsOf(attempts: readonly KeptAttempt[]): KeptAttempt[][] {
  return [...Map.groupBy(attempts, ({ job_id }) => job_id).values()];
}
