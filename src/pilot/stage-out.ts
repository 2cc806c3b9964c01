import type { PilotJob } from '../protocol/calls/pilot.ts';
import { AttemptFailed } from '../protocol/errors.ts';
import type { AttemptDirectory } from './attempt-directory.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { packJobLog } from './job-log.ts';
import { collectOutputs, type MissingOutput, type Output } from './outputs.ts';
import type { Reporter } from './reporter.ts';
import type { Results } from './results.ts';
import type { StagedIn } from './stage-in.ts';

const ERROR_CODES: Record<MissingOutput['kind'], number> = {
  missing: PILOT_ERRORS.missingOutput,
  'not-allowed': PILOT_ERRORS.badOutputName,
  'too-large': PILOT_ERRORS.outputTooLarge,
};

/** Moves the outputs out of the working directory, which is removed next. @throws {AttemptFailed} when one is not there */
export async function takeOutputs(
  { runDirectory, outputs, seenWork }: Pick<StagedIn, 'runDirectory' | 'outputs' | 'seenWork'>,
  directory: AttemptDirectory,
): Promise<Output[]> {
  const collected = await collectOutputs(directory.work, runDirectory, outputs, directory.outputs, seenWork);
  if ('outputs' in collected) return collected.outputs;
  throw new AttemptFailed(ERROR_CODES[collected.kind], collected.reason);
}

/** Uploads them under their final names. @throws {AttemptFailed} when the server does not take one */
export async function uploadOutputs(
  outputs: readonly Output[],
  results: Results | undefined,
  reporter: Reporter,
): Promise<void> {
  for (const { name, path } of outputs) await uploadAs('output', name, path, results, reporter);
}

/** Packs the log, when nothing secret is left in the attempt's directory, and uploads it. @throws {AttemptFailed} */
export async function uploadLog(
  { job, results }: { job: Pick<PilotJob, 'logFile'>; results: Results | undefined },
  directory: AttemptDirectory,
  reporter: Reporter,
): Promise<void> {
  if (!job.logFile) return;
  await packJobLog(directory.log, directory.logArchive);
  await uploadAs('log', job.logFile, directory.logArchive, results, reporter);
}

async function uploadAs(
  kind: 'log' | 'output',
  name: string,
  path: string,
  results: Results | undefined,
  reporter: Reporter,
): Promise<void> {
  try {
    const sent = await (results?.prepare(kind, name, path) ?? { path });
    await reporter.upload(kind, name, sent);
  } catch (error) {
    throw new AttemptFailed(
      PILOT_ERRORS.stageOutFailed,
      `the ${kind} "${name}" could not be uploaded: ${(error as Error).message}`,
    );
  }
}
