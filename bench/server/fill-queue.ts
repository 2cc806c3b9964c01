import { addAccount } from '../../src/identity/accounts.ts';
import { createOwners } from '../../src/identity/owners.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_JOBS_PER_TASK } from '../../src/protocol/limits.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { submission } from '../../test/jobs/farm.ts';
import type { Site } from './site.ts';

const AT_ONCE = 200;

/** Has jobs of other owners wait at a site, as many of each; none of them gets secrets. */
export async function fillQueue(site: Site, { jobs, owners }: { jobs: number; owners: number }): Promise<void> {
  const clock = Date.now;
  const { data, database, isFile } = site;
  const installation = await openInstallation({ data, ...(!isFile && { database }) }, { create: false, clock });
  const { store } = installation;
  const ownerOf = createOwners({ store, clock });
  const room = createJobs({ store, clock, maxOpenJobs: Number.MAX_SAFE_INTEGER });
  const each = Math.ceil(jobs / owners);
  const perTask = Math.min(each, MAX_JOBS_PER_TASK);

  async function waitFor(n: number): Promise<void> {
    const owner = await ownerOf.of({ ...(await addAccount(store, clock, `waiting${n}`)), issuer: 'embedded' });
    for (let made = 0; made < each; made += perTask) {
      const request = submission(`user.waiting${n}.task${made}`);
      await room.submit(owner, { ...request, jobCount: perTask, useSecrets: false });
    }
  }
  for (let first = 0; first < owners; first += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, owners - first) }, (_, n) => waitFor(first + n)));
  }
  await installation.close();
}

/** Gives an owner tasks of one job each. */
export async function fillTasks(data: string, owner: OwnerId, tasks: number): Promise<void> {
  const clock = Date.now;
  const installation = await openInstallation({ data }, { create: false, clock });
  const room = createJobs({ store: installation.store, clock, maxOpenJobs: Number.MAX_SAFE_INTEGER });
  for (let first = 0; first < tasks; first += AT_ONCE) {
    const names = Array.from({ length: Math.min(AT_ONCE, tasks - first) }, (_, n) => `user.bench.task${first + n}`);
    await Promise.all(names.map((name) => room.submit(owner, { ...submission(name), jobCount: 1 })));
  }
  await installation.close();
}
