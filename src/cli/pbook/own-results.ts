import { existsSync } from 'node:fs';
import type { Client } from '../../client/client.ts';
import { describeJobs } from '../../client/jobs.ts';
import { detailsOf } from '../../client/tasks.ts';
import type { ListedJobFile } from '../../protocol/calls/job.ts';
import { Conflict } from '../../protocol/errors.ts';
import { SealedRefusal } from '../../protocol/sealed-refusal.ts';
import type { Grant } from '../../sealed/grant.ts';
import type { GrantedTask } from '../../sealed/granted-tasks.ts';
import type { KeyFolder } from '../../sealed/own-keys.ts';
import { existingKeyFolder, ownKeys } from '../own-keys.ts';
import { note, warn } from '../reporting.ts';

/** The results of one task, as its user sees them: checked and opened where the user signed for it. */
export interface OwnResults {
  client: Client;
  /** Says what jobs that ended should have brought and did not. @throws {SealedRefusal} `result-missing` when the server must have it */
  tellMissing(kind: ListedJobFile['kind']): Promise<void>;
  close(): Promise<void>;
}

/**
 * Finds how the results of a task are read. A device that signed for it knows by itself what they must be; another one with the same
 * key believes the grant that the server shows, if it is the user's own.
 */
export async function ownResults(client: Client, taskId: number): Promise<OwnResults> {
  const folder = await existingKeyFolder();
  if (!folder) return unchecked(client, taskId);
  const known = await folder.tasks.of(taskId);
  if (known) return await checked(client, folder, known);
  const grant = await shownGrant(client, taskId);
  const hasKey = existsSync(folder.key.path);
  if (!grant || grant.task !== taskId) return unchecked(client, taskId, hasKey);
  const own = await ownKeys();
  if (own?.keys.signer.publicKey !== grant.signer) return unchecked(client, taskId, hasKey);
  warn(
    `task ${taskId} was signed for on another device: this one cannot tell if an earlier attempt is shown for a later one, ` +
      'and takes no result of before the last "pbook retry"',
  );
  const { knownBy } = await import('../../sealed/granted-tasks.ts');
  return await checked(client, folder, knownBy(grant));
}

async function checked(client: Client, folder: KeyFolder, task: GrantedTask): Promise<OwnResults> {
  const { checkedResults } = await import('../../sealed/checked-results.ts');
  let own: ReturnType<typeof ownKeys> | undefined;
  const results = checkedResults(client, task, {
    sites: folder.sites,
    async identity() {
      own ??= ownKeys();
      const keys = (await own)?.keys;
      if (!keys) throw noKey(task.task);
      return keys.results.identity;
    },
    shownGrant: () => shownGrant(client, task.task),
    async learn(grant) {
      warn(`task ${task.task} was signed for again on another device`);
      await folder.tasks.learn(grant);
    },
    see: (seen) => folder.tasks.see(task.task, seen),
    now: Date.now() / 1000,
  });
  return {
    client: results.client,
    close: () => results.close(),
    async tellMissing(kind) {
      const jobs = await describeJobs(client, await results.client.getJobIds(task.task));
      const missing = await results.missing(kind, jobs);
      for (const { name, isCertain } of missing) {
        if (!isCertain) warn(`${name} did not come: ${kind === 'log' ? NO_LOG : HELD_BACK}`);
      }
      const lost = missing.filter(({ isCertain }) => isCertain).map(({ name }) => name);
      if (lost.length > 0) throw new SealedRefusal('result-missing', lost.join(', '));
    },
  };
}

const NO_LOG = 'the job was refused before it began, its pilot was lost, or the server holds it back';
const HELD_BACK = 'its node held it back for a secret in it, as the log says then, or the server does';

/**
 * For a task that its user did not sign for, as far as this device knows.
 *
 * @param hasKey a server could hide from its user that they signed
 */
function unchecked(client: Client, taskId: number, hasKey = false): OwnResults {
  let told: Promise<void> | undefined;
  let isNoted = false;
  const tell = (isSigned: boolean) => {
    if (isSigned) told ??= tellUnchecked(client, taskId);
    else if (hasKey && !isNoted) {
      isNoted = true;
      note(`Nothing tells whether these results are genuine: task ${taskId} was not signed for on this device.`);
    }
    return told;
  };
  return {
    client: {
      ...client,
      async getJobFiles(id) {
        const files = await client.getJobFiles(id);
        await tell(files.some(({ signature }) => signature !== undefined));
        return files;
      },
      async getJobLog(from) {
        const part = await client.getJobLog(from);
        await tell(part.parts !== undefined || part.log_signature !== undefined);
        return part;
      },
    },
    tellMissing: async () => {},
    close: async () => {},
  };
}

async function tellUnchecked(client: Client, taskId: number): Promise<void> {
  const grant = await shownGrant(client, taskId);
  if (grant && grant.results !== null) throw noKey(taskId);
  warn(`nodes signed the results of task ${taskId}, and this device does not have the key by which that is checked`);
}

async function shownGrant(client: Client, taskId: number): Promise<Grant | undefined> {
  const { readGrant } = await import('../../sealed/grant.ts');
  const word = (await detailsOf(client, taskId))?.grant;
  try {
    return word ? readGrant(word) : undefined;
  } catch (error) {
    if (error instanceof SealedRefusal) return undefined;
    throw error;
  }
}

function noKey(taskId: number): Conflict {
  return new Conflict(
    `the results of task ${taskId} are sealed, and this device does not have the key: "pbook keys import" brings it`,
  );
}
