import { normalize } from 'node:path';
import { type JobParameters, parseJobParameters } from '../protocol/job-parameters.ts';
import { type SplitJob, splitJob } from '../protocol/job-split.ts';
import { MAX_GRANT_CHARS } from '../protocol/limits.ts';
import { SECRETS_DIRECTORY, SECRETS_FILE, splitWireName, type WireName } from '../protocol/names.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { isSealedValue } from '../protocol/sealed-value.ts';
import type { AgeKey } from '../sealing/hybrid-age.ts';
import { checkSealedSize, type OpenedSecret, openEnvelope } from './envelope.ts';
import { type Grant, readGrant } from './grant.ts';
import type { SiteId } from './site-id.ts';
import { readOr } from './site-record.ts';

/** One attempt at a job, as a server sent it. Nothing of it is believed. */
export interface Release {
  grant: string | undefined;
  taskId: unknown;
  /** Which job of its task, from 1. */
  serial: unknown;
  /** Counted from the grant's beginning, from 1. */
  attempt: unknown;
  /** PanDA's `jobPars`. */
  parameters: unknown;
  /** The delivered secrets, in the order of the text, doubled names too: wire name and value. */
  delivered: readonly (readonly [name: string, value: string])[];
}

/** A site's node. */
export interface AdmittingNode {
  site: SiteId;
  /** Seconds since 1970 by the node's own clock. */
  now: number;
}

/** A job that may be run: all that is known of it is from its grant. */
export interface AdmittedJob extends SplitJob {
  grant: Grant;
  serial: number;
  attempt: number;
  /** The parameters, read. */
  payload: JobParameters;
  /** Not opened yet. */
  sealed: readonly (readonly [name: string, value: string])[];
}

/**
 * Checks a job that came with sealed secrets or a grant, before its sandbox is fetched and anything opened. The first failure is told.
 * The ledger, the sandbox and {@link openGranted} follow.
 *
 * @returns nothing for a job with neither: it is an ordinary one
 * @throws {SealedRefusal} in this order: `sealed-too-large`, `grant-missing`, `plain-in-sealed-job`, `grant-format`, `grant-forged`,
 * `grant-ended`, `grant-other-site`, `grant-place`, `grant-template`, `job-changed`, `secret-missing`, `secret-extra`
 */
export function admitJob(release: Release, node: AdmittingNode): AdmittedJob | undefined {
  const { delivered } = release;
  if (release.grant !== undefined && release.grant.length > MAX_GRANT_CHARS)
    throw new SealedRefusal('sealed-too-large');
  const sealed = delivered.filter(([, value]) => isSealedValue(value));
  for (const [, value] of sealed) checkSealedSize(value);

  if (release.grant === undefined) {
    if (sealed.length > 0) throw new SealedRefusal('grant-missing');
    return undefined;
  }
  if (sealed.length < delivered.length) throw new SealedRefusal('plain-in-sealed-job');

  const grant = readGrant(release.grant);
  if (node.now >= grant.end) throw new SealedRefusal('grant-ended');
  if (!grant.sites.includes(node.site)) throw new SealedRefusal('grant-other-site');
  const serial = placeOf(release.serial, grant.jobs);
  const attempt = placeOf(release.attempt, grant.attempts);
  const job = grantedJob(grant, serial);
  if (release.taskId !== grant.task || release.parameters !== job.parameters) throw new SealedRefusal('job-changed');
  checkNames(
    delivered.map(([name]) => name),
    grant.secrets.map(({ name }) => name),
  );
  return { ...job, grant, serial, attempt, sealed };
}

/**
 * Opens the secrets of an admitted job, all or none: they are what the signer of its grant sealed, for this site, in a version that
 * the grant allows.
 *
 * @param identities of the node's keys, the newest first
 * @throws {SealedRefusal} as `openEnvelope` does
 */
export async function openGranted(
  { grant, sealed }: Pick<AdmittedJob, 'grant' | 'sealed'>,
  identities: readonly AgeKey['identity'][],
  site: SiteId,
): Promise<OpenedSecret[]> {
  const opened: OpenedSecret[] = [];
  const values = new Map(sealed);
  for (const { name, atLeast } of grant.secrets) {
    const value = values.get(name);
    if (value === undefined) throw new SealedRefusal('secret-missing');
    opened.push(await openEnvelope(value, identities, { signer: grant.signer, name, atLeast, site }));
  }
  return opened;
}

/** One job as its grant says it is, and nobody else. @throws {SealedRefusal} `grant-template` when there can be none */
export function grantedJob(grant: Grant, serial: number): SplitJob & { payload: JobParameters } {
  return readOr('grant-template', () => jobOf(grant, serial));
}

function placeOf(given: unknown, most: number): number {
  if (!Number.isSafeInteger(given) || (given as number) < 1 || (given as number) > most) {
    throw new SealedRefusal('grant-place');
  }
  return given as number;
}

/** Throws anything when none can be made. */
function jobOf({ task, template, secrets }: Grant, serial: number): SplitJob & { payload: JobParameters } {
  const job = splitJob(template, { taskId: task, serial });
  const payload = parseJobParameters(job.parameters);
  const brought = Object.entries(payload.outputs);
  const rules = [
    (payload.sandbox === undefined) === (template.sandboxSha256 === null),
    payload.secretForms.join() === template.secretForms.join(),
    brought.length === job.outputs.length && brought.every(([, name]) => job.outputs.includes(name)),
    new Set([...job.outputs, job.logName]).size === job.outputs.length + 1,
    brought.every(([file]) => !isPlaced(file, secrets)),
  ];
  if (rules.includes(false)) throw new TypeError('no job');
  return { ...job, payload };
}

/** Tells if a job would bring back a file in which it finds secrets. */
function isPlaced(file: string, secrets: Grant['secrets']): boolean {
  const [first = '', ...rest] = normalize(file).split('/');
  if (first === '..' || first === '' || first === '.' || first === SECRETS_DIRECTORY) return true;
  const names = secrets.map(({ name }) => splitWireName(name as WireName)).filter(({ kind }) => kind === 'file');
  return rest.length === 0 && (first === SECRETS_FILE || names.some(({ name }) => name === first));
}

function checkNames(delivered: readonly string[], granted: readonly string[]): void {
  const found = new Set(delivered);
  if (granted.some((name) => !found.has(name))) throw new SealedRefusal('secret-missing');
  if (delivered.length !== granted.length) throw new SealedRefusal('secret-extra');
}
