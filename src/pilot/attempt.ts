import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Masker } from '../masking/masker.ts';
import type { JobSecrets } from '../payload/job-secrets.ts';
import { type PayloadEnd, startPayload } from '../payload/payload.ts';
import { removeTree } from '../payload/remove-tree.ts';
import type { SecretsPlace } from '../payload/secret-files.ts';
import { expiring } from '../payload/secret-notes.ts';
import type { PilotJob } from '../protocol/calls/pilot.ts';
import { AttemptFailed } from '../protocol/errors.ts';
import { KILL_GRACE_SECONDS, TOLD_TOGETHER_SECONDS } from '../protocol/limits.ts';
import { explainedReason, SealedRefusal } from '../protocol/sealed-refusal.ts';
import { type AttemptDirectory, attemptName, makeAttemptDirectory } from './attempt-directory.ts';
import { passedSecrets } from './environment.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import type { Isolation } from './isolation.ts';
import { enforceLimits, type JobLimits, limitsOf } from './job-limits.ts';
import { type JobLog, openJobLog } from './job-log.ts';
import type { KillWatch } from './kill-watch.ts';
import { searchOutputs } from './leaked-outputs.ts';
import { followLog } from './live-log.ts';
import type { MemoryCgroup, MemoryCgroups } from './memory-cgroup.ts';
import type { Output } from './outputs.ts';
import type { PilotHome } from './pilot-home.ts';
import type { ReadyJob } from './ready-job.ts';
import { type AttemptEnd, createReporter, type PilotServer } from './reporter.ts';
import { pause } from './retry.ts';
import { leftOutBy } from './server-remarks.ts';
import type { PartSigner } from './signed-live-log.ts';
import { type StagedIn, stageIn } from './stage-in.ts';
import { takeOutputs, uploadLog, uploadOutputs } from './stage-out.ts';

/** The node as one job needs it. */
export interface JobNode {
  name: string;
  queue: string;
  home: PilotHome;
  /** `undefined`: the payload runs beside everything else on the node. */
  isolation: Isolation | undefined;
  /** `undefined`: the memory of payloads is only looked at. */
  memoryCgroups?: MemoryCgroups | undefined;
  /** The pilot's own environment. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** The operator's rules for a job. */
export interface JobPolicy {
  heartbeatSeconds: number;
  killGraceSeconds?: number | undefined;
  limits: Partial<JobLimits>;
  /** Names in the pilot's environment of what payloads get besides the usual. */
  passOn: readonly string[];
}

export interface AttemptOptions {
  server: PilotServer;
  job: PilotJob;
  /** Decides if and as what it is run. */
  makeReady(): Promise<ReadyJob>;
  node: JobNode;
  policy: JobPolicy;
  /** The numbers of the cores that are for it, where others are for jobs beside it. */
  cores?: readonly number[] | undefined;
  /** Aborted, with an `AttemptFailed`, when the pilot is told to stop. */
  stopping: AbortSignal;
  /** Tells of a kill sooner than the heartbeats. */
  killWatch: KillWatch;
  /** For the operator. */
  say: (text: string) => void;
}

/**
 * Runs one attempt at a job, from its secrets to its report. Whatever happens, the order is: the payload's processes end,
 * its secrets and its directory go, and only then the log is packed and sent. Never throws.
 */
export async function runAttempt(options: AttemptOptions): Promise<AttemptEnd> {
  const { server, job, node, policy, stopping, say } = options;
  const killed = new AbortController();
  const kill = () => killed.abort(new AttemptFailed(PILOT_ERRORS.killedByServer, 'the job was killed on the server'));
  const unwatch = options.killWatch.watch(job, kill);
  const reporter = createReporter({
    server,
    job,
    node,
    heartbeatSeconds: policy.heartbeatSeconds,
    stopping,
    onKill: kill,
    onTrouble: (error) => say(`job ${job.PandaID}: ${error.message}`),
  });
  let end: AttemptEnd = {};
  let directory: AttemptDirectory | undefined;
  try {
    reporter.is('starting');
    const ready = await options.makeReady();
    directory = await makeAttemptDirectory(node.home.path, attemptName(job));
    const log = await openJobLog(directory.log);
    const live = followLog(directory.log, reporter.appendLog, { sign: liveSigner(ready) });
    let outputs: Output[];
    const exceeded = new AbortController();
    const stop = AbortSignal.any([stopping, killed.signal, exceeded.signal]);
    ({ end, outputs } = await work(options, ready, directory, log, stop, {
      onStart: () => reporter.is('running'),
      onExceeded: (failure) => exceeded.abort(failure),
    }).finally(() => live.stop()));
    unwatch();
    reporter.is('holding');
    await uploadOutputs(outputs, ready.results, reporter).catch((error) => {
      end = { ...end, failure: failureOf(error) };
    });
    // A job that did its work is not lost with its log.
    await uploadLog(ready, directory, reporter).catch((error: Error) => say(`job ${job.PandaID}: ${error.message}`));
  } catch (error) {
    end = { ...end, failure: end.failure ?? failureOf(error) };
  }
  unwatch();
  const refusal = await reporter.ended(end);
  if (refusal !== undefined) say(`job ${job.PandaID}: its report was not accepted: ${refusal}`);
  if (directory) await removeTree(directory.path).catch((error: Error) => say(`job ${job.PandaID}: ${error.message}`));
  return end;
}

/** The node's word for each part of the log of a job with a grant. */
function liveSigner({ job, results }: ReadyJob): PartSigner | undefined {
  const { logFile = '' } = job;
  return results && ((seq, bytes, last) => results.preparePart(logFile, seq, bytes, last));
}

/** From the secrets until nothing but the log and the outputs is left. The log is closed when it resolves or throws. */
async function work(
  options: AttemptOptions,
  ready: ReadyJob,
  directory: AttemptDirectory,
  log: JobLog,
  stop: AbortSignal,
  { onStart, onExceeded }: { onStart(): void; onExceeded(failure: AttemptFailed): void },
): Promise<{ end: AttemptEnd; outputs: Output[] }> {
  const { server, job, node, policy } = options;
  let end: AttemptEnd = {};
  let outputs: Output[] = [];
  let staged: StagedIn | undefined;
  let delivered: JobSecrets | undefined;
  log.note(`attempt ${job.attemptNr} at job ${job.PandaID} of task ${job.taskID} on ${node.name}`);
  // A job with a grant has none of the server's remarks: its node signs the log.
  for (const text of leftOutBy(ready.job, node.queue)) log.note(text);
  try {
    staged = await stageIn({
      server,
      ready,
      place: { directory, secrets: secretsPlace(node, attemptName(job)), isolation: node.isolation },
      variables: { own: node.environment, passOn: policy.passOn },
      log,
      signal: stop,
    });
    ({ delivered } = staged);
    for (const text of expiring(ready.job.secretsExpiring, delivered?.secrets ?? [])) log.note(text);
    onStart();
    const { cores } = options;
    const running = { job: ready.job, node, policy, cores, directory, staged, delivered, log, stop, onExceeded };
    const payload = await runPayload(running);
    if (!payload.allGone) options.say(`job ${job.PandaID}: processes that it started could not be ended`);
    end = { exitCode: payload.exitCode };
    // A batch system tells all processes of a node to stop at once, and the payload may be the first to go.
    if (payload.exitCode !== 0) await pause(TOLD_TOGETHER_SECONDS, stop);
    if (stop.aborted) throw stop.reason;
    if (payload.exitCode !== 0) throw new AttemptFailed(PILOT_ERRORS.payloadFailed, describe(payload));
    outputs = await takeOutputs(staged, directory);
  } catch (error) {
    end = { ...end, failure: stop.aborted ? (stop.reason as AttemptFailed) : failureOf(error) };
  }
  // One that fails does not keep the others from going.
  for (const remove of [
    async () => await staged?.removeSecrets(),
    () => removeTree(directory.work),
    () => removeTree(directory.temporary),
  ]) {
    await remove().catch((error: unknown) => {
      end = { ...end, failure: end.failure ?? failureOf(error) };
    });
  }
  if (staged && !end.failure) {
    ({ end, outputs } = await withoutLeaks(end, outputs, { staged, delivered, log, stop }));
  }
  log.note(end.failure ? `failed: ${explainedReason(end.failure.message)}` : 'the payload finished');
  const incomplete = await log.close();
  if (incomplete !== undefined) options.say(`job ${job.PandaID}: ${incomplete}`);
  return { end, outputs };
}

/** The fate of the outputs when the job's secrets were looked for in them, which is told in the log and in the job's end. */
async function withoutLeaks(
  end: AttemptEnd,
  collected: readonly Output[],
  {
    staged,
    delivered,
    log,
    stop,
  }: { staged: StagedIn; delivered: JobSecrets | undefined; log: JobLog; stop: AbortSignal },
): Promise<{ end: AttemptEnd; outputs: Output[] }> {
  const action = staged.leakedOutputs;
  try {
    const { outputs, notes, finding } = await searchOutputs(collected, delivered?.secrets ?? [], action, stop);
    for (const note of notes) log.note(note);
    if (finding === undefined || action !== 'fail') return { end: { ...end, finding }, outputs };
    return { end: { ...end, failure: new AttemptFailed(PILOT_ERRORS.stageOutFailed, finding) }, outputs: [] };
  } catch (error) {
    return { end: { ...end, failure: stop.aborted ? (stop.reason as AttemptFailed) : failureOf(error) }, outputs: [] };
  }
}

/** A payload, with all that is there for it. */
interface PayloadRun extends Pick<AttemptOptions, 'node' | 'policy' | 'cores'> {
  job: ReadyJob['job'];
  directory: AttemptDirectory;
  staged: StagedIn;
  delivered: JobSecrets | undefined;
  log: JobLog;
  /** Aborted when it is to end. */
  stop: AbortSignal;
  onExceeded: (failure: AttemptFailed) => void;
}

/** In a cgroup of its own, where the job's memory has a limit and the node lets the pilot make one. */
async function runPayload(run: PayloadRun): Promise<PayloadEnd> {
  const { memoryMegabytes } = limitsOf(run.job, run.policy.limits);
  const cgroup = memoryMegabytes > 0 ? run.node.memoryCgroups?.forJob(memoryMegabytes) : undefined;
  try {
    return await runConfined({ ...run, cgroup });
  } finally {
    await cgroup?.remove();
  }
}

async function runConfined(run: PayloadRun & { cgroup: MemoryCgroup | undefined }): Promise<PayloadEnd> {
  const { job, node, policy, delivered, log, stop, cgroup } = run;
  const { path, work, temporary } = run.directory;
  const { command, runDirectory, environment, secrets } = run.staged;
  const { isolation } = node;
  // With the parsers of what a secret may be, which a pilot without a job does not need.
  const { createMasker, maskTransform } = await import('../masking/masker.ts');
  const passed = passedSecrets({ own: node.environment, passOn: policy.passOn });
  const masker = createMasker([...(delivered?.secrets ?? []), ...passed]);
  for (const note of notesOn(masker)) log.note(note);
  const written: Promise<void>[] = [];
  const masked = () => {
    const stream = maskTransform(masker);
    written.push(pipeline(stream, log.stream()));
    return stream;
  };
  const payload = startPayload({
    command: [...onCores(run.cores), '/bin/sh', ...command],
    directory: runDirectory,
    pipesIn: path,
    isolate: isolation && ((words) => isolation.launch({ work, temporary, runDirectory, secrets }, words)),
    confine: cgroup && ((words) => cgroup.launch(words)),
    environment,
    mark: `${node.home.id}.${attemptName(job)}`,
    stdout: masked(),
    stderr: masked(),
  });
  const usage = { tree: payload.tree, cgroup, directories: [work, temporary] };
  const limits = enforceLimits(limitsOf(job, policy.limits), usage, run.onExceeded);
  const end = () => payload.stop(policy.killGraceSeconds ?? KILL_GRACE_SECONDS);
  stop.addEventListener('abort', end, { once: true });
  if (stop.aborted) end();
  try {
    const ended = await payload.ended;
    await Promise.all(written);
    return ended;
  } finally {
    stop.removeEventListener('abort', end);
    limits.ended();
  }
}

/** Util-linux's `taskset`, where there are cores to choose and it is there: a payload may choose others of the pilot's all the same. */
function onCores(cores: readonly number[] = []): string[] {
  const taskset = '/usr/bin/taskset';
  return cores.length > 0 && existsSync(taskset) ? [taskset, '--cpu-list', cores.join(',')] : [];
}

function secretsPlace({ home, isolation }: JobNode, attempt: string): SecretsPlace {
  if (isolation) return { kind: 'payload' };
  return home.secretsDirectory === undefined
    ? { kind: 'work' }
    : { kind: 'folder', path: join(home.secretsDirectory, attempt) };
}

/** Numbers, not names: a log is passed on to others, and the owner is told the names when the secrets are set. */
function notesOn({ unmaskable, partlyMasked }: Masker): string[] {
  const count = (names: readonly unknown[]) => (names.length === 1 ? '1 secret is' : `${names.length} secrets are`);
  return [
    ...(unmaskable.length > 0 ? [`${count(unmaskable)} too short or too common to be masked in this log`] : []),
    ...(partlyMasked.length > 0 ? [`${count(partlyMasked)} too large to be masked in every encoding`] : []),
  ];
}

function describe({ exitCode, signal }: PayloadEnd): string {
  return signal ? `the payload was ended by ${signal}` : `the payload ended with exit status ${exitCode}`;
}

/** The message of an unexpected error may name a file, and so a secret: only its code is passed on. */
function failureOf(error: unknown): AttemptFailed {
  if (error instanceof AttemptFailed) return error;
  // The server gets the code alone.
  if (error instanceof SealedRefusal) return new AttemptFailed(PILOT_ERRORS.missingCredentials, error.code);
  const { code, name } = error as NodeJS.ErrnoException;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new AttemptFailed(
    isFull ? PILOT_ERRORS.noLocalSpace : PILOT_ERRORS.internalProblem,
    `the pilot could not do its work (${code ?? name})`,
  );
}
