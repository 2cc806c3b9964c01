import { randomUUID } from 'node:crypto';
import { appendAudit } from '../audit/audit.ts';
import type { Tell } from '../events/events.ts';
import { findQueue } from '../jobs/queues.ts';
import type { ExpiringSecret, SealedSecrets } from '../protocol/calls/pilot.ts';
import { Forbidden } from '../protocol/errors.ts';
import { expiringSecrets } from '../protocol/expiring-secrets.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { secretsText } from '../protocol/secrets-text.ts';
import { wholeMasks } from '../protocol/whole-masks.ts';
import { sealDelivery } from '../sealing/delivery.ts';
import { insertDeliveredSecrets, insertDelivery } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import type { OpenedSecret, Vault } from '../vault/vault.ts';
import { mayHaveSecrets, type Offer } from './offer.ts';

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
  grant?: string | undefined;
}

/** The pilot that holds the attempt, as the server knows it. */
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

/** The rooms that a delivery joins. `clock` answers milliseconds since 1970 UTC. */
export interface DeliveryContext {
  store: Store;
  vault: Vault;
  clock: () => number;
  tell: Tell;
}

/** See {@link Delivery.deliver}. */
export async function deliver(
  context: DeliveryContext,
  job: DeliveredJob,
  pilot: ReceivingPilot,
  offer: Offer | undefined,
): Promise<SecretsForPilot> {
  const { ownerId } = job;
  if (!offer?.proven && !mayHaveSecrets(await findQueue(context.store, pilot.queue), offer)) {
    // Told before a value is opened.
    if (!(await hasSecrets(context.vault, job))) return sealed(secretsText([]));
    throw new Forbidden(
      `queue "${pilot.queue}" gives no secrets over TLS alone: the pilot must offer a public key that it proves to be its own, ` +
        'or an operator must allow it for the queue',
    );
  }
  const { secrets, leftOut, sealedLeftOut, expiredLeftOut } = await context.vault.getForJob(ownerId, {
    secretIds: job.secretIds,
    queue: pilot.queue,
    sealed: job.grant !== undefined,
  });
  const remarks = {
    ...(leftOut > 0 && { secretsLeftOut: leftOut }),
    ...(sealedLeftOut > 0 && { secretsSealedLeftOut: sealedLeftOut }),
    ...(expiredLeftOut > 0 && { secretsExpired: expiredLeftOut }),
  };
  const expiring = expiringSecrets(
    secrets.map(({ name, attributes: { expires } }) => ({ name, expires })),
    context.clock(),
  );
  const forPilot = await sealed(secretsText(secrets));
  // A job that asks for secrets and gets none finds an empty object; that is no delivery.
  if (secrets.length > 0) await record(context, job, pilot, secrets, forPilot.sealedSecrets?.kem ?? 'tls');
  return { ...forPilot, ...remarks, ...(offer && expiring.length > 0 && { secretsExpiring: expiring }) };

  async function sealed(text: string): Promise<SecretsForPilot> {
    if (!offer) return { secrets: text };
    const binding = { jobId: job.jobId, attempt: job.attempt, ownerId, pilotId: pilot.pilotId };
    const plaintext = Buffer.from(text, 'utf8');
    const whole = wholeMasks(secrets.map(({ name, attributes }) => ({ name, mask: attributes.mask })));
    const sealedSecrets = await sealDelivery(offer.keys, binding, plaintext).finally(() => plaintext.fill(0));
    return { sealedSecrets, ...(whole.length > 0 && { secretsMaskedWhole: whole }) };
  }
}

async function hasSecrets(vault: Vault, { ownerId, secretIds }: DeliveredJob): Promise<boolean> {
  if (secretIds) return secretIds.length > 0;
  const { secrets, damaged } = await vault.list(ownerId);
  return secrets.length + damaged.length > 0;
}

async function record(
  { store, vault, clock, tell }: DeliveryContext,
  { jobId, taskId, attempt, ownerId }: DeliveredJob,
  { pilotId, queue, node }: ReceivingPilot,
  opened: readonly OpenedSecret[],
  sealedWith: string,
): Promise<void> {
  // Beginning with the job's number, deliveries of one time lie together in the database.
  const id = `${jobId}-${attempt}-${randomUUID()}`;
  const use = vault.useOf(opened.map((secret) => secret.id));
  const versions = opened.map((secret) => [secret.id, secret.version]);
  await store.write(async (tx) => {
    await insertDelivery(tx, {
      id,
      owner_id: ownerId,
      task_id: taskId,
      job_id: jobId,
      attempt,
      pilot_id: pilotId,
      queue,
      node,
      at: clock(),
      sealed_with: sealedWith,
    });
    await insertDeliveredSecrets(tx, {
      secrets: opened.map((secret) => ({ delivery_id: id, secret_id: secret.id, version: secret.version })),
    });
    const detail = { delivery: id, task: taskId, job: jobId, attempt, queue, node, sealedWith, secrets: versions };
    await appendAudit(tx, clock, ownerId, `pilot:${pilotId}`, 'secret.deliver', detail);
    await use.note(tx);
  });
  use.noted();
  tell({ event: 'secrets.delivered', jobId, attempt, queue, secrets: opened.length, sealedWith });
}
