import { randomUUID } from 'node:crypto';
import type { ListedDelivery } from '../protocol/calls/creds.ts';
import { Forbidden } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { DEFAULT_DELIVERIES_SHOWN } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import type { SealedSecrets, SealingKey } from '../protocol/sealed.ts';
import { secretsText } from '../protocol/secrets-text.ts';
import { sealDelivery } from '../sealing/delivery.ts';
import { insertDeliveredSecrets, insertDelivery } from '../store/deliveries.ts';
import { readQueue } from '../store/queues.ts';
import type { Store } from '../store/store.ts';
import { appendAudit } from '../vault/audit.ts';
import type { OpenedSecret, Vault } from '../vault/vault.ts';
import { deliveryHistory } from './history.ts';

/** The attempt of a job that secrets are for. */
export interface DeliveredJob {
  jobId: number;
  taskId: number;
  /** From 1. */
  attempt: number;
  ownerId: OwnerId;
  /** Which of the owner's secrets it asked for, or null for all. */
  secretIds: readonly string[] | null;
}

/** The pilot that holds the attempt, as the server knows it. */
interface ReceivingPilot {
  pilotId: string;
  queue: string;
  node: string;
}

/** A job's secrets, if it gets any: sealed to the pilot's key, or in the clear for a pilot of the older protocol. */
export interface DeliveredSecrets {
  sealedSecrets?: SealedSecrets;
  secrets?: string;
  /** How many of its owner's secrets do not go to this queue; only where it asked for all of them and there is one. */
  secretsLeftOut?: number;
}

/** Takes an owner's secrets out of the vault and to the compute node where a job of theirs runs. */
export interface Delivery {
  /**
   * The secrets of a job: the JSON text of an object wire name -> value, sealed to the strongest of the pilot's keys and
   * bound to this attempt, owner and pilot. The delivery is on record before this answers. The caller must have given the
   * attempt to that pilot.
   *
   * @param offers the pilot's public keys, made for this one request; undefined from a pilot that knows of none
   * @returns nothing when its owner has no secrets
   * @throws {Forbidden} when the pilot offers no key and its queue does not allow secrets over TLS alone; when the job names a
   * secret that may not go to the queue
   * @throws {NotFound} when the job names a secret that was deleted since
   * @throws {InvalidArgument} when none of the offered keys can be used
   * @throws {DecryptionFailed} when a secret does not open: nothing is delivered
   */
  deliver(
    job: DeliveredJob,
    pilot: ReceivingPilot,
    offers: readonly SealingKey[] | undefined,
  ): Promise<DeliveredSecrets | undefined>;
  /**
   * Which of the owner's jobs were given secrets and where, newest first.
   *
   * @param options `name`: only deliveries of that secret; `limit`: at most `MAX_DELIVERIES_SHOWN`
   * @throws {NotFound} when there is no secret of that name
   */
  history(owner: OwnerId, options?: { name?: WireName; limit?: number }): Promise<ListedDelivery[]>;
}

export interface DeliveryDependencies {
  store: Store;
  vault: Vault;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
}

export function createDelivery({ store, vault, clock }: DeliveryDependencies): Delivery {
  return {
    async deliver(job, pilot, offers) {
      const { ownerId } = job;
      if (!offers && !(await allowsTlsAlone(pilot.queue))) {
        // Told before a value is opened.
        if (!(await hasSecrets(job))) return undefined;
        throw new Forbidden(
          `queue "${pilot.queue}" gives no secrets over TLS alone: the pilot must offer a public key, or an operator allow it for the queue`,
        );
      }
      const { secrets, leftOut } = await vault.getForJob(ownerId, { secretIds: job.secretIds, queue: pilot.queue });
      const remark = leftOut > 0 ? { secretsLeftOut: leftOut } : undefined;
      if (secrets.length === 0) return remark;

      const text = secretsText(secrets);
      if (!offers) {
        await record(job, pilot, secrets, 'tls');
        return { secrets: text, ...remark };
      }
      const context = { jobId: job.jobId, attempt: job.attempt, ownerId, pilotId: pilot.pilotId };
      const plaintext = Buffer.from(text, 'utf8');
      const sealedSecrets = await sealDelivery(offers, context, plaintext).finally(() => plaintext.fill(0));
      await record(job, pilot, secrets, sealedSecrets.kem);
      return { sealedSecrets, ...remark };
    },

    history: (owner, { name, limit = DEFAULT_DELIVERIES_SHOWN } = {}) =>
      deliveryHistory({ store, vault }, owner, { name, limit }),
  };

  async function allowsTlsAlone(queue: string): Promise<boolean> {
    return (await readQueue(store.db, queue))?.allow_tls_secrets === 1;
  }

  async function hasSecrets({ ownerId, secretIds }: DeliveredJob): Promise<boolean> {
    return secretIds ? secretIds.length > 0 : (await vault.list(ownerId)).length > 0;
  }

  async function record(
    { jobId, taskId, attempt, ownerId }: DeliveredJob,
    { pilotId, queue, node }: ReceivingPilot,
    opened: readonly OpenedSecret[],
    sealedWith: string,
  ): Promise<void> {
    // Beginning with the job's number, deliveries of one time lie together in the database.
    const id = `${jobId}-${attempt}-${randomUUID()}`;
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
    });
  }
}
