import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { filesOf, type JobSecrets, type SecretFile } from '../payload/job-secrets.ts';
import { type PlacedSecrets, placeSecrets, type SecretsPlace } from '../payload/secret-files.ts';
import { arrivals } from '../payload/secret-notes.ts';
import { argumentsRoom } from '../payload/secret-variables.ts';
import { AttemptFailed } from '../protocol/errors.ts';
import { parseJobParameters } from '../protocol/job-parameters.ts';
import type { LeakedOutputs } from '../protocol/leaked-outputs.ts';
import { MAX_VARIABLE_BYTES } from '../protocol/limits.ts';
import { SECRETS_DIRECTORY, SECRETS_FILE } from '../protocol/names.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { utf8Length } from '../protocol/text.ts';
import { type AttemptDirectory, enterRunDirectory } from './attempt-directory.ts';
import { type EnvironmentOptions, payloadEnvironment } from './environment.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { fetchSandbox } from './fetch-sandbox.ts';
import { ISOLATED_PATHS, type IsolatedPayload, type Isolation } from './isolation.ts';
import type { JobLog } from './job-log.ts';
import { giveTo } from './payload-user.ts';
import type { ReadyJob } from './ready-job.ts';
import type { PilotServer } from './reporter.ts';

export interface StageInOptions {
  server: Pick<PilotServer, 'origin' | 'downloadSandbox'>;
  ready: ReadyJob;
  place: {
    directory: AttemptDirectory;
    secrets: SecretsPlace;
    isolation: Isolation | undefined;
  };
  /** The pilot's own environment, and the names in it that the operator passes on to payloads. */
  variables: Pick<EnvironmentOptions, 'own' | 'passOn'>;
  log: JobLog;
  /** Ends a download. */
  signal: AbortSignal;
}

/** A payload that is ready to start. */
export interface StagedIn {
  /** The words after `/bin/sh`. */
  command: readonly string[];
  runDirectory: string;
  /** The place at which the payload sees the directory that it is in. */
  seenWork: string;
  /** The job's secrets; `undefined` when it has none. */
  delivered: JobSecrets | undefined;
  /** Local name -> the name to keep it under. */
  outputs: Readonly<Record<string, string>>;
  leakedOutputs: LeakedOutputs;
  environment: Readonly<Record<string, string>>;
  /** For `Isolation`, which gives them to the payload. */
  secrets: IsolatedPayload['secrets'];
  /** Takes the secrets' files away. Safe to repeat. */
  removeSecrets(): Promise<void>;
}

/**
 * Makes a job's working directory ready: the sandbox first, so that it can be nothing over the secrets; the secrets last, so
 * that they are there no longer than needed. Secrets of a job with a grant are not opened before its sandbox is proven.
 *
 * @throws {AttemptFailed} with the step that failed
 * @throws {SealedRefusal} of a job with a grant
 */
export async function stageIn(options: StageInOptions): Promise<StagedIn> {
  const { server, place, variables, log, signal } = options;
  const { job, results, openSecrets } = options.ready;
  const { directory, isolation } = place;
  const parameters = await step(PILOT_ERRORS.setupFailure, 'the job cannot be understood', () =>
    parseJobParameters(job.jobPars),
  );
  const { sourceUrl: origin = server.origin, sandbox: name } = parameters;
  if (name !== undefined) {
    const source = { server, origin, name, sha256: job.sandboxSha256 };
    // An error of the disk's may name a file of a sandbox that nothing has proven: it is not told with a step's words.
    if (results) await fetchSandbox({ ...source, refusal: (code) => new SealedRefusal(code) }, directory.work, signal);
    else {
      await step(PILOT_ERRORS.stageInFailed, 'the sandbox cannot be fetched', () =>
        fetchSandbox(source, directory.work, signal),
      );
    }
  }
  const runDirectory = await step(PILOT_ERRORS.setupFailure, 'the working directory cannot be made', () =>
    enterRunDirectory(directory.work, parameters.runDirectory),
  );
  signal.throwIfAborted();

  const delivered = await openSecrets();
  signal.throwIfAborted();
  const secrets = delivered?.secrets ?? [];
  const forms = parameters.secretForms;
  const seenWork = isolation ? ISOLATED_PATHS.work : directory.work;
  const seenTemporary = isolation ? ISOLATED_PATHS.temporary : directory.temporary;
  const command = await commandWords(parameters.command, directory.temporary, seenTemporary);
  const { files, impossible } = filesOf(forms.includes('files') ? secrets : []);
  const hasJson = delivered !== undefined && forms.includes('json');
  if (hasJson) files.unshift({ name: SECRETS_FILE, bytes: delivered.json });
  const placed = files.length === 0 ? undefined : await placeInto(runDirectory, files, place.secrets);
  const seenSecrets =
    place.secrets.kind === 'folder'
      ? place.secrets.path
      : join(seenWork, relative(directory.work, runDirectory), SECRETS_DIRECTORY);
  const { environment, leftOut } = payloadEnvironment({
    ...variables,
    userName: isolation?.user?.name,
    home: seenWork,
    temporary: seenTemporary,
    job: { id: job.PandaID, taskId: job.taskID, attempt: job.attemptNr },
    fixed: {
      ...(hasJson ? { PANDA_SECRETS_FILE: join(seenSecrets, SECRETS_FILE) } : {}),
      ...(placed && place.secrets.kind !== 'folder' ? { TAR_OPTIONS: tarOptions(variables) } : {}),
    },
    secrets: forms.includes('env') ? secrets : [],
    room: argumentsRoom() - utf8Length(command.join(' ')),
  });
  const refused = placed?.refused ?? [];
  const notWritten = [...impossible, ...refused];
  const notes = arrivals({ secrets, forms, leftOut, notWritten, replaced: placed?.replaced ?? [] });
  for (const note of notes) log.note(note);
  // Last of all, so that nothing here goes through what another user could have put there.
  if (isolation?.user) for (const each of [directory.work, directory.temporary]) await giveTo(isolation.user, each);
  return {
    command,
    runDirectory,
    seenWork,
    delivered,
    outputs: parameters.outputs,
    leakedOutputs: parameters.leakedOutputs,
    environment,
    secrets: placed && { directory: placed.directory, files: files.filter(({ name }) => !refused.includes(name)) },
    removeSecrets: async () => await placed?.remove(),
  };
}

/** The kernel takes no longer argument than `MAX_VARIABLE_BYTES`: a longer command is a file. */
async function commandWords(command: string, temporary: string, seenTemporary: string): Promise<string[]> {
  if (utf8Length(command) < MAX_VARIABLE_BYTES) return ['-c', command];
  const name = 'panda-command.sh';
  await writeFile(join(temporary, name), command, { flag: 'wx', mode: 0o600 });
  return [join(seenTemporary, name)];
}

/** GNU tar puts these before its own: it would end with an error at a directory that cannot be listed. */
function tarOptions({ own, passOn }: StageInOptions['variables']): string {
  const exclude = `--exclude=${SECRETS_DIRECTORY}`;
  const passed = passOn.includes('TAR_OPTIONS') ? own['TAR_OPTIONS'] : undefined;
  return passed === undefined ? exclude : `${passed} ${exclude}`;
}

/** Its errors name files, and files are named like secrets: only the kind of error is passed on. */
async function placeInto(
  runDirectory: string,
  files: readonly SecretFile[],
  place: SecretsPlace,
): Promise<PlacedSecrets> {
  try {
    return await placeSecrets(files, runDirectory, place);
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
    if (error instanceof SealedRefusal) throw error;
    throw new AttemptFailed(pilotErrorCode, `${what}: ${(error as Error).message}`);
  }
}
