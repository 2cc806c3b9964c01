import { lstat, readlink, realpath, rename } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { MAX_UPLOAD_BYTES } from '../protocol/limits.ts';
import { isOutside } from './attempt-directory.ts';

/** One output of a payload, out of the payload's reach. */
export interface Output {
  /** The payload's name of it. */
  local: string;
  /** The name that it is kept under. */
  name: string;
  path: string;
}

/** The reason that an output is not there. */
export interface MissingOutput {
  kind: 'missing' | 'not-allowed' | 'too-large';
  reason: string;
}

/**
 * Moves the outputs out of the working directory. Called when no process of the payload is left: what a payload may have
 * put in the place of an output, such as a link to the pilot's own files, does not lead out of `work`.
 *
 * @param work the directory that outputs must be in, without links in its path
 * @param wanted local name (a path seen from `runDirectory`) -> the name to keep it under
 * @param target an empty directory on the same file system
 * @param seenWork where the payload saw `work`: a link to there is one into `work`
 */
export async function collectOutputs(
  work: string,
  runDirectory: string,
  wanted: Readonly<Record<string, string>>,
  target: string,
  seenWork = work,
): Promise<{ outputs: Output[] } | MissingOutput> {
  const outputs: Output[] = [];
  for (const [local, name] of Object.entries(wanted)) {
    const missing = (kind: MissingOutput['kind'], what: string) => ({ kind, reason: `the output "${local}" ${what}` });
    const path = await resolveOutput(join(runDirectory, local), work, seenWork).catch(() => undefined);
    if (path === undefined) return missing('missing', 'was not made');
    if (isOutside(work, path)) return missing('not-allowed', "is outside the job's directory");
    const found = await lstat(path);
    if (!found.isFile()) return missing('not-allowed', 'is not a regular file');
    if (found.size > MAX_UPLOAD_BYTES) return missing('too-large', `is larger than ${MAX_UPLOAD_BYTES} bytes`);
    const output = { local, name, path: join(target, String(outputs.length)) };
    await rename(path, output.path);
    outputs.push(output);
  }
  return { outputs };
}

async function resolveOutput(path: string, work: string, seenWork: string): Promise<string> {
  const link = await readlink(path).catch(() => '');
  return await realpath(isAbsolute(link) && !isOutside(seenWork, link) ? join(work, relative(seenWork, link)) : path);
}
