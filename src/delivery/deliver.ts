import { randomUUID } from 'node:crypto';
import { appendAudits } from '../audit/audit.ts';
import type { Tell } from '../events/events.ts';
import { findQueue } from '../jobs/queues.ts';
import type { ExpiringSecret, SealedSecrets } from '../protocol/calls/pilot.ts';
import { Forbidden } from '../protocol/errors.ts';
import { expiringSecrets } from '../protocol/expiring-secrets.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { secretsText } from '../protocol/secrets-text.ts';
import { wholeMasks } from '../protocol/whole-masks.ts';
import type { DeliverySealer } from '../sealing/delivery.ts';
import { insertDeliveries } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import type { GivenSecret, Vault } from '../vault/vault.ts';
import { mayHaveSecrets, type UsableOffer } from './offer.ts';

/** The attempt of a job that secrets are for. */
export interface DeliveredJob {
  jobId: number;
  taskId: number;
  /** From 1. */
  attempt: number;
  ownerId: OwnerId;
  /** Which of the owner's secrets it asked for, or null for all. */
  secretIds: readonly string[] | null;
  /** The grant that its owner signed, for a job that gets sealed secrets alone. */
  grant?: { word: string } | undefined;
}

/** The pilot that holds the attempts, as the server knows it. */
export interface ReceivingPilot {
  pilotId: string;
  queue: string;
  node: string;
}

/** A job's secrets, which may be none: sealed to the pilot's key, or in the clear for a pilot of the older protocol. */
export interface SecretsForPilot {
  sealedSecrets?: SealedSecrets;
  secrets?: string;
  /** Those of which a log hides the value alone: see `wholeMasks`. Only with `sealedSecrets`, and where there is one. */
  secretsMaskedWhole?: number[];
  /** The number of its owner's secrets that do not go to this queue; only where it asked for all of them and there is one. */
  secretsLeftOut?: number;
  /** The number of its owner's secrets that it does not get because they are sealed; only where there is one. */
  secretsSealedLeftOut?: number;
  /** The number of its owner's secrets whose end has come; only where it asked for all of them and there is one. */
  secretsExpired?: number;
  /** Those that expire soon: see `expiringSecrets`. Only with `sealedSecrets`, and where there is one. */
  secretsExpiring?: ExpiringSecret[];
}

/** The secrets of one job are for its pilot, cannot be had, or find no room in the answer. */
export type Outcome = { secrets: SecretsForPilot } | { failure: unknown } | 'full';

/** The rooms that a delivery joins. `clock` answers milliseconds since 1970 UTC. */
export interface DeliveryContext {
  store: Store;
  vault: Vault;
  clock: () => number;
  tell: Tell;
}

/**
 * The secrets of jobs that go to one pilot in one answer. Those that get the same secrets of one owner have them opened once, and all are
 * on record in one transaction before this answers.
 *
 * @param fits asked for each job before its secrets are sealed, with how many characters they will have
 */
export async function deliverAll<Job extends DeliveredJob>(
  context: DeliveryContext,
  jobs: readonly Job[],
  pilot: ReceivingPilot,
  offer: UsableOffer | undefined,
  fits: (job: Job, chars: number) => boolean,
): Promise<Map<Job, Outcome>> {
  const outcomes = new Map<Job, Outcome>();
  const made: MadeDelivery<Job>[] = [];
  const weak = jobs.length > 0 && !offer?.proven && !mayHaveSecrets(await findQueue(context.store, pilot.queue), offer);
  for (const alike of Map.groupBy(jobs, sameSecrets).values()) {
    const [first] = alike as [Job, ...Job[]];
    try {
      const opened = weak ? await noneOrRefused(context.vault, first, pilot) : await open(context, first, pilot, offer);
      try {
        for (const job of alike) {
          const outcome = await sealed(job, opened, pilot, offer?.sealer, fits);
          outcomes.set(job, outcome);
          // A job that asks for secrets and gets none finds an empty object; that is no delivery.
          if (outcome !== 'full' && 'secrets' in outcome && opened.secrets.length > 0) {
            const sealedWith = outcome.secrets.sealedSecrets?.kem ?? 'tls';
            made.push({ id: idOf(job), job, secrets: opened.secrets, sealedWith });
          }
        }
      } finally {
        opened.text.fill(0);
      }
    } catch (failure) {
      for (const job of alike) if (!outcomes.has(job)) outcomes.set(job, { failure });
    }
  }
  for (const [job, failure] of await record(context, pilot, made)) outcomes.set(job, { failure });
  return outcomes;
}

function sameSecrets({ ownerId, secretIds, grant }: DeliveredJob): string {
  return JSON.stringify([ownerId, secretIds, grant !== undefined]);
}

/** Secrets in memory. The caller wipes the text. */
interface Opened {
  secrets: readonly GivenSecret[];
  text: Buffer;
  remarks: Omit<SecretsForPilot, 'secrets' | 'sealedSecrets'>;
}

async function open(
  { vault, clock }: DeliveryContext,
  { ownerId, secretIds, grant }: DeliveredJob,
  { queue }: ReceivingPilot,
  offer: UsableOffer | undefined,
): Promise<Opened> {
  const request = { secretIds, queue, sealed: grant !== undefined };
  const { text, secrets, leftOut, sealedLeftOut, expiredLeftOut } = await vault.getForJob(ownerId, request);
  const whole = wholeMasks(secrets.map(({ name, attributes }) => ({ name, mask: attributes.mask })));
  const expiring = expiringSecrets(
    secrets.map(({ name, attributes: { expires } }) => ({ name, expires })),
    clock(),
  );
  return {
    secrets,
    text,
    remarks: {
      ...(offer && whole.length > 0 && { secretsMaskedWhole: whole }),
      ...(leftOut > 0 && { secretsLeftOut: leftOut }),
      ...(sealedLeftOut > 0 && { secretsSealedLeftOut: sealedLeftOut }),
      ...(expiredLeftOut > 0 && { secretsExpired: expiredLeftOut }),
      ...(offer && expiring.length > 0 && { secretsExpiring: expiring }),
    },
  };
}

/** To a pilot that may have no secrets: told before a value is opened. @throws {Forbidden} */
async function noneOrRefused(vault: Vault, job: DeliveredJob, { queue }: ReceivingPilot): Promise<Opened> {
  if (!(await hasSecrets(vault, job))) return { secrets: [], text: Buffer.from(secretsText([]), 'utf8'), remarks: {} };
  throw new Forbidden(
    `queue "${queue}" gives no secrets over TLS alone: the pilot must offer a public key that it proves to be its own, ` +
      'or an operator must allow it for the queue',
  );
}

async function hasSecrets(vault: Vault, { ownerId, secretIds }: DeliveredJob): Promise<boolean> {
  if (secretIds) return secretIds.length > 0;
  const { secrets, damaged } = await vault.list(ownerId);
  return secrets.length + damaged.length > 0;
}

async function sealed<Job extends DeliveredJob>(
  job: Job,
  { text, remarks }: Opened,
  { pilotId }: ReceivingPilot,
  sealer: DeliverySealer | undefined,
  fits: (job: Job, chars: number) => boolean,
): Promise<Outcome> {
  if (!fits(job, sealer ? Math.ceil((text.length / 3) * 4) : text.length)) return 'full';
  if (!sealer) return { secrets: { secrets: text.toString('utf8'), ...remarks } };
  const { jobId, attempt, ownerId } = job;
  const sealedSecrets = await sealer.seal({ jobId, attempt, ownerId, pilotId }, text);
  return { secrets: { sealedSecrets, ...remarks } };
}

interface MadeDelivery<Job extends DeliveredJob> {
  id: string;
  job: Job;
  secrets: readonly GivenSecret[];
  /** A kind of key, or `tls` alone. */
  sealedWith: string;
}

/** Beginning with the job's number, deliveries of one time lie together in the database. */
function idOf({ jobId, attempt }: DeliveredJob): string {
  return `${jobId}-${attempt}-${randomUUID()}`;
}

/** Notes deliveries, with the audit of each owner. @returns the jobs whose delivery is not on record, with why */
async function record<Job extends DeliveredJob>(
  context: DeliveryContext,
  pilot: ReceivingPilot,
  made: readonly MadeDelivery<Job>[],
): Promise<Map<Job, unknown>> {
  const failures = new Map<Job, unknown>();
  if (made.length === 0) return failures;
  // In one order everywhere, as transactions that lock the same owners in two wait for each other for ever.
  const owners = [...Map.groupBy(made, ({ job }) => job.ownerId)].sort(([a], [b]) => (a < b ? -1 : 1));
  try {
    await recordOf(context, pilot, owners);
  } catch (failure) {
    // One owner's may not hold up another's.
    for (const own of owners) {
      try {
        if (owners.length === 1) throw failure;
        await recordOf(context, pilot, [own]);
      } catch (error) {
        for (const { job } of own[1]) failures.set(job, error);
      }
    }
  }
  for (const { job, secrets, sealedWith } of made) {
    if (failures.has(job)) continue;
    const { jobId, attempt } = job;
    const { queue } = pilot;
    context.tell({ event: 'secrets.delivered', jobId, attempt, queue, secrets: secrets.length, sealedWith });
  }
  return failures;
}

async function recordOf(
  { store, vault, clock }: DeliveryContext,
  pilot: ReceivingPilot,
  owners: readonly (readonly [OwnerId, readonly MadeDelivery<DeliveredJob>[]])[],
): Promise<void> {
  const owned = owners.map(([owner, made]) => ({
    owner,
    made,
    use: vault.useOf([...new Set(made.flatMap(({ secrets }) => secrets.map(({ id }) => id)))]),
  }));
  const all = owners.flatMap(([, made]) => made);
  const { pilotId, queue, node } = pilot;
  await store.write(async (tx) => {
    await insertDeliveries(
      tx,
      all.map(({ id, job, sealedWith }) => ({
        id,
        owner_id: job.ownerId,
        task_id: job.taskId,
        job_id: job.jobId,
        attempt: job.attempt,
        pilot_id: pilotId,
        queue,
        node,
        at: clock(),
        sealed_with: sealedWith,
      })),
      all.flatMap(({ id, secrets }) =>
        secrets.map((secret) => ({ delivery_id: id, secret_id: secret.id, version: secret.version })),
      ),
    );
    for (const { owner, made, use } of owned) {
      const details = made.map((one) => detailOf(one, pilot));
      await appendAudits(tx, clock, owner, `pilot:${pilotId}`, 'secret.deliver', details);
      await use.note(tx);
    }
  });
  for (const { use } of owned) use.noted();
}

function detailOf({ id, job, secrets, sealedWith }: MadeDelivery<DeliveredJob>, { queue, node }: ReceivingPilot) {
  const { taskId: task, jobId, attempt } = job;
  const versions = secrets.map((secret) => [secret.id, secret.version]);
  return { delivery: id, task, job: jobId, attempt, queue, node, sealedWith, secrets: versions };
}
