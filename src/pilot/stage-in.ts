import { join } from 'node:path';
import type { PilotJob } from '../protocol/calls/pilot.ts';
import { AttemptFailed } from '../protocol/errors.ts';
import { parseJobParameters } from '../protocol/job-parameters.ts';
import { type AttemptDirectory, enterRunDirectory } from './attempt-directory.ts';
import { type EnvironmentOptions, payloadEnvironment } from './environment.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { fetchSandbox } from './fetch-sandbox.ts';
import { ISOLATED_PATHS } from './isolation.ts';
import type { JobLog } from './job-log.ts';
import { type JobSecrets, placeSecrets, SECRETS_FILE } from './job-secrets.ts';
import { removeTree } from './remove-tree.ts';
import type { PilotServer } from './reporter.ts';

export interface StageInOptions {
  server: Pick<PilotServer, 'origin' | 'downloadSandbox'>;
  input: { job: PilotJob; delivered: JobSecrets | undefined };
  place: {
    directory: AttemptDirectory;
    /** Where the secrets' files are kept, a directory that is not there yet; `undefined`: in the working directory. */
    keep: string | undefined;
    /** Whether the payload will see its directories at `ISOLATED_PATHS`. */
    isolated: boolean;
  };
  /** The pilot's own environment, and the names in it that the operator passes on to payloads. */
  variables: Pick<EnvironmentOptions, 'own' | 'passOn'>;
  log: JobLog;
  /** Ends a download. */
  signal: AbortSignal;
}

/** A payload that is ready to start. */
export interface StagedIn {
  command: string;
  runDirectory: string;
  /** Where the payload sees the directory that it is in. */
  seenWork: string;
  /** Local name -> the name to keep it under. */
  outputs: Readonly<Record<string, string>>;
  environment: Readonly<Record<string, string>>;
  /** Where the secrets' files are when not in the working directory. */
  secretsDirectory: string | undefined;
  /** Takes the secrets' files away. Safe to repeat. */
  removeSecrets(): Promise<void>;
}

/**
 * Makes a job's working directory ready: the sandbox first, so that it can be nothing over the secrets; the secrets last, so
 * that they are there no longer than needed.
 *
 * @throws {AttemptFailed} with the step that failed
 */
export async function stageIn(options: StageInOptions): Promise<StagedIn> {
  const { server, place, log, signal } = options;
  const { job, delivered } = options.input;
  const { directory, isolated } = place;
  const parameters = await step(PILOT_ERRORS.setupFailure, 'the job cannot be understood', () =>
    parseJobParameters(job.jobPars),
  );
  const { sourceUrl: origin = server.origin, sandbox: name } = parameters;
  if (name !== undefined) {
    await step(PILOT_ERRORS.stageInFailed, 'the sandbox cannot be fetched', () =>
      fetchSandbox({ server, origin, name, sha256: job.sandboxSha256 }, directory.work, signal),
    );
  }
  const runDirectory = await step(PILOT_ERRORS.setupFailure, 'the working directory cannot be made', () =>
    enterRunDirectory(directory.work, parameters.runDirectory),
  );
  signal.throwIfAborted();

  const secrets = delivered?.secrets ?? [];
  const forms = parameters.secretForms;
  const seenWork = isolated ? ISOLATED_PATHS.work : directory.work;
  const { environment, leftOut } = payloadEnvironment({
    ...options.variables,
    home: seenWork,
    temporary: isolated ? ISOLATED_PATHS.temporary : directory.temporary,
    job: { id: job.PandaID, taskId: job.taskID, attempt: job.attemptNr },
    secrets: forms.includes('env') ? secrets : [],
  });
  const instead = forms.includes('json') ? `read ${SECRETS_FILE}` : `use --secretsAs with json, for ${SECRETS_FILE}`;
  if (leftOut > 0) log.note(`${count(leftOut)} too large for environment variables: ${instead}`);
  const written = delivered && {
    json: forms.includes('json') ? delivered.json : undefined,
    secrets: forms.includes('files') ? secrets : [],
  };
  const placed = written && (await placeInto(runDirectory, written, place));
  if (placed && placed.leftOut > 0) {
    log.note(
      `${count(placed.leftOut)} not written as files, because the name is no plain file name or is taken by the sandbox, ` +
        `or the value is not base64: ${instead}`,
    );
  }
  return {
    command: parameters.command,
    runDirectory,
    seenWork,
    outputs: parameters.outputs,
    environment,
    secretsDirectory: placed && place.keep,
    removeSecrets: async () => await placed?.remove(),
  };
}

/** Its errors name files, and files are named like secrets: only the kind of error is passed on. */
async function placeInto(
  runDirectory: string,
  delivered: Parameters<typeof placeSecrets>[0],
  { keep, isolated }: StageInOptions['place'],
) {
  try {
    // One that a user tried the job with at home gives way to the real one.
    if (delivered.json) await removeTree(join(runDirectory, SECRETS_FILE));
    return await placeSecrets(delivered, runDirectory, keep, isolated ? ISOLATED_PATHS.secrets : keep);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    throw new AttemptFailed(
      isFull ? PILOT_ERRORS.noLocalSpace : PILOT_ERRORS.setupFailure,
      `the secrets could not be written on the node (${code ?? 'unknown error'})`,
    );
  }
}

async function step<T>(pilotErrorCode: number, what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new AttemptFailed(pilotErrorCode, `${what}: ${(error as Error).message}`);
  }
}

function count(secrets: number): string {
  return secrets === 1 ? '1 secret is' : `${secrets} secrets are`;
}
