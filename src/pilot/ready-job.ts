import { type DeliveredPairs, type JobSecrets, jobSecretsOf, parseDelivery } from '../payload/job-secrets.ts';
import type { PilotJob } from '../protocol/calls/pilot.ts';
import { AttemptFailed, DecryptionFailed } from '../protocol/errors.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { admitJob, openGranted } from '../sealed/admission.ts';
import { noteRun } from '../sealed/ledger.ts';
import type { Recipient } from '../sealing/delivery.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { type Results, resultsOf } from './results.ts';
import { type NodeSiteKey, nodeSeconds } from './site-key.ts';

/** A job that may be run. */
export interface ReadyJob {
  /** All that it does and is given: as the server sent it, or as its owner's grant has it. */
  job: PilotJob;
  /** Opens its secrets, when its sandbox is there. @throws {AttemptFailed} @throws {SealedRefusal} */
  openSecrets(): Promise<JobSecrets | undefined>;
  /** The node's statement on a file that it brings back; undefined for a job without a grant. */
  results: Results | undefined;
}

export interface JobDelivery {
  job: PilotJob;
  recipient: Recipient;
  pilotId: string;
  /** The key of the pilot's site, if it has one. */
  siteKey: NodeSiteKey | undefined;
}

/**
 * Makes a job ready to be run. A job that came with a grant is admitted first, and noted as run once more: nothing of it is believed that
 * its owner did not sign.
 *
 * @throws {AttemptFailed} @throws {SealedRefusal}
 */
export async function readyJob(delivery: JobDelivery): Promise<ReadyJob> {
  const { job, siteKey } = delivery;
  if (job.grant === undefined) {
    return { job, openSecrets: async () => await openOrdinary(delivery), results: undefined };
  }
  if (!siteKey) throw new SealedRefusal('grant-other-site');
  const delivered = (await openDelivery(delivery))?.pairs ?? [];
  const site = await siteKey.read();
  const admitted = admit(job, delivered, site.id);
  await noteRun(siteKey.ledger, admitted.grant, admitted.serial);
  const { grant, serial, attempt } = admitted;
  const { template } = grant;
  return {
    job: {
      ...numbersOf(job),
      taskID: grant.task,
      jobPars: admitted.parameters,
      ...(template.sandboxSha256 !== null && { sandboxSha256: template.sandboxSha256 }),
      logFile: admitted.logName,
      outFiles: [...admitted.outputs, admitted.logName].join(),
      maxWalltime: template.maxWalltimeSeconds,
      minRamCount: template.memory,
      maxDiskCount: template.disk,
    },
    openSecrets: async () => jobSecretsOf(await openGranted(admitted, site.identities, site.id)),
    results: resultsOf(site.resultSigner, { nonce: grant.nonce, serial, attempt }, grant.results),
  };
}

/** The server's numbers for an attempt, and nothing else of it. */
function numbersOf({ PandaID, attemptNr }: PilotJob) {
  return { PandaID, attemptNr, jobName: '', transformation: '', prodSourceLabel: '', prodUserID: '' };
}

function admit(job: PilotJob, delivered: DeliveredPairs, site: string) {
  const { grant } = job as { grant: unknown };
  if (typeof grant !== 'string') throw new SealedRefusal('grant-format');
  const { taskID: taskId, serial, grantAttempt: attempt, jobPars: parameters } = job;
  const admitted = admitJob({ grant, taskId, serial, attempt, parameters, delivered }, { site, now: nodeSeconds() });
  if (!admitted) throw new SealedRefusal('grant-missing');
  return admitted;
}

/** A site's pilot takes nothing that its owner sealed from a server that has no grant to show. */
async function openOrdinary(delivery: JobDelivery): Promise<JobSecrets | undefined> {
  const delivered = await openDelivery(delivery);
  if (delivered && delivery.siteKey) {
    const { taskID: taskId, serial, grantAttempt: attempt, jobPars: parameters } = delivery.job;
    const { id: site } = await delivery.siteKey.read();
    const release = { grant: undefined, taskId, serial, attempt, parameters, delivered: delivered.pairs };
    admitJob(release, { site, now: nodeSeconds() });
  }
  return delivered;
}

/** @throws {AttemptFailed} when it does not open */
async function openDelivery({ job, recipient, pilotId }: JobDelivery) {
  const { sealedSecrets: sealed, secrets } = job;
  if (!sealed && secrets === undefined) return undefined;
  try {
    if (!sealed) throw new DecryptionFailed('they came unsealed, though the request offered keys');
    const context = { jobId: job.PandaID, attempt: job.attemptNr, ownerId: sealed.owner, pilotId };
    return parseDelivery(await recipient.open(sealed, context), job.secretsMaskedWhole);
  } catch (error) {
    throw new AttemptFailed(PILOT_ERRORS.missingCredentials, `the secrets do not open: ${(error as Error).message}`);
  }
}
