// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import type { TestContext } from 'node:test';
import { createJobs, type Jobs, type LeasedJob, type Submission } from '../../src/jobs/jobs.ts';
import { addQueue } from '../../src/jobs/queues.ts';
import { parseTaskParameters } from '../../src/panda/task-parameters.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { buildJobParameters } from '../../src/protocol/job-parameters.ts';
import type { Store } from '../../src/store/store.ts';
import type { TestDatabase } from '../stores.ts';

/** A job room with two queues, two owners, and a clock that stands still until it is moved. */
export interface Farm {
  store: Store;
  jobs: Jobs;
  alice: OwnerId;
  bob: OwnerId;
  clock: () => number;
  passSeconds(seconds: number): void;
  /** Another server on the same database and clock. */
  replica(): Promise<Jobs>;
  /** Submits a task of alice's that runs `true`. */
  submit(change?: Partial<Submission>): Promise<number>;
  /** Up to `count` jobs for one pilot of the queue `default`. */
  acquire(pilotId: string, count?: number): Promise<LeasedJob[]>;
  /** The one job that is waiting. */
  acquireOne(pilotId: string): Promise<LeasedJob>;
}

export async function openFarm(_t: TestContext, database: TestDatabase): Promise<Farm> {
  const store = await database.open();
  let now = Date.UTC(2026, 0, 1);
  const clock = () => now;
  const alice = 'alice' as OwnerId;
  const bob = 'bob' as OwnerId;
  await store.write(async (tx) => {
    for (const id of [alice, bob]) {
      const owner = { id, issuer: 'test', subject: id, display_name: `The ${id}`, created_at: now };
      await tx.insertInto('owners').values(owner).execute();
    }
  });
  for (const name of ['default', 'gpu']) await addQueue(store, clock, name);
  const jobs = createJobs({ store, clock });
  let submitted = 0;
  const acquire = async (pilotId: string, count = 100) => {
    const acquisition = { pilotId, queue: 'default', node: 'node1', count, mayHaveSecrets: true };
    return (await jobs.acquire(acquisition)).jobs;
  };
  return {
    store,
    jobs,
    alice,
    bob,
    clock,
    passSeconds(seconds) {
      now += seconds * 1000;
    },
    replica: async () => createJobs({ store: await database.open(), clock }),
    async submit(change = {}) {
      const task = { ...submission(`user.alice.test${++submitted}`), ...change };
      return (await jobs.submit(alice, task)).taskId;
    },
    acquire,
    async acquireOne(pilotId) {
      const [job] = await acquire(pilotId, 1);
      if (!job) throw new Error('no job is waiting');
      return job;
    },
  };
}

/** The sandbox that tasks start from: nobody uploaded it. */
export const ANY_SANDBOX = 'jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz';

/** A task as `prun` submits it: one job that runs `true`. */
export function submission(name: string, change: Record<string, unknown> = {}): Submission {
  const { secretNames: _, ...request } = parseTaskParameters({ ...taskParameters(name), ...change });
  return { ...request, secretIds: null };
}

/** `task_parameters` as `prun` sends them. */
export function taskParameters(name: string, command = 'true', outputs: readonly string[] = []) {
  return {
    taskName: `${name}/`,
    uniqueTaskName: true,
    sourceURL: 'https://panda.example:25443',
    nEvents: 1,
    nEventsPerJob: 1,
    log: { type: 'template', param_type: 'log', value: `${name}.log.$JEDITASKID.\${SN}.log.tgz` },
    jobParameters: buildJobParameters({
      sandbox: ANY_SANDBOX,
      runDirectory: '.',
      outputs: outputs.map((output) => ({
        name: output,
        lfn: `user.alice.$JEDITASKID._\${SN/P}.${output}`,
        dataset: `${name}_${output}/`,
      })),
      command,
    }),
  };
}
