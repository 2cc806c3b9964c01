import { mkdir, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import type { PilotJob } from '../protocol/calls/pilot.ts';
import { InvalidArgument } from '../protocol/errors.ts';

/** The directory of one attempt: `job-` and its name in the pilot's home. All are 0700; no path has a link in it. */
export interface AttemptDirectory {
  path: string;
  /** The sandbox is unpacked here; the payload's HOME. */
  work: string;
  /** The payload's TMPDIR. */
  temporary: string;
  /** The outputs are moved here when the payload has ended. */
  outputs: string;
  log: string;
  logArchive: string;
}

/**
 * The name of an attempt on its node, `PANDAID-ATTEMPT`: a path segment.
 *
 * @throws {InvalidArgument} when the server gave something else than numbers
 */
export function attemptName({ PandaID, attemptNr }: Pick<PilotJob, 'PandaID' | 'attemptNr'>): string {
  if (![PandaID, attemptNr].every(Number.isSafeInteger)) {
    throw new InvalidArgument('the server gave a job whose PandaID or attemptNr is no whole number');
  }
  return `${PandaID}-${attemptNr}`;
}

/** @param name see {@link attemptName} */
export async function makeAttemptDirectory(home: string, name: string): Promise<AttemptDirectory> {
  const path = join(await realpath(home), `job-${name}`);
  const directory = {
    path,
    work: join(path, 'work'),
    temporary: join(path, 'tmp'),
    outputs: join(path, 'outputs'),
    log: join(path, 'payload.log'),
    logArchive: join(path, 'log.tgz'),
  };
  for (const each of [path, directory.work, directory.temporary, directory.outputs]) await mkdir(each, { mode: 0o700 });
  return directory;
}

/**
 * The payload's working directory: `runDirectory` below `work`, made if it is not there.
 *
 * @throws {InvalidArgument} when it would be outside
 */
export async function enterRunDirectory(work: string, runDirectory: string): Promise<string> {
  const path = join(work, runDirectory);
  if (isAbsolute(runDirectory) || isOutside(work, path)) throw leavesWork(runDirectory);
  await mkdir(path, { recursive: true, mode: 0o700 });
  const real = await realpath(path);
  if (isOutside(work, real)) throw leavesWork(runDirectory);
  return real;
}

/** True when `path` is not `directory` and not below it; both absolute, without links. */
export function isOutside(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way === '..' || way.startsWith('../') || isAbsolute(way);
}

function leavesWork(runDirectory: string): InvalidArgument {
  return new InvalidArgument(`the job wants to run in "${runDirectory}", which is outside its own directory`);
}
