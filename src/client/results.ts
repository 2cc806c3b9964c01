import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { makeFolder } from '../files/make-folder.ts';
import type { ListedJobFile } from '../protocol/calls/job.ts';
import { AlreadyExists, Misconfigured, PandaError, Unavailable } from '../protocol/errors.ts';
import { checkFileName } from '../protocol/file-name.ts';
import type { JobLogCalls } from './job-logs.ts';
import type { JobCalls } from './jobs.ts';

/** An output was written, or it was there already with the same content. */
export type Fetched = 'written' | 'present';

/**
 * Brings one output into `directory`, which is made if need be. The name comes from elsewhere and is only accepted as one path
 * segment; another file of that name is left alone; a part of a file never stands under its name.
 *
 * @throws InvalidArgument for a name that is a path; AlreadyExists when another file has the name and not `overwrite`
 */
export async function fetchOutput(
  client: Pick<JobCalls, 'getJobFile'>,
  file: ListedJobFile,
  directory: string,
  { overwrite = false } = {},
): Promise<Fetched> {
  checkFileName(file.name, 'output');
  const path = join(directory, file.name);
  const part = join(directory, `.${randomUUID()}.part`);
  try {
    await makeFolder(directory);
    await pipeline(await client.getJobFile(file), createWriteStream(part, { flags: 'wx' }));
    const there = overwrite ? undefined : await digest(path);
    if (there === undefined) {
      await rename(part, path);
      return 'written';
    }
    if (there === (await digest(part))) return 'present';
    throw new AlreadyExists(`${path} is there already and differs; --force replaces it`);
  } catch (error) {
    throw explain(error, path);
  } finally {
    await rm(part, { force: true });
  }
}

/** Of a file's content; undefined when there is no such file. */
async function digest(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** Writes the text of a log to `target`: a packed log (`.log.tgz`) is its files one after another. */
export async function writeLog(
  client: Pick<JobCalls, 'getJobFile'>,
  file: Pick<ListedJobFile, 'job_id' | 'attempt' | 'name'>,
  target: Writable,
): Promise<void> {
  const content = await client.getJobFile(file);
  if (!/\.(tgz|tar\.gz)$/.test(file.name)) return await pipeline(content, target, { end: false });
  const { Parser } = await import('tar');
  // The ratio guards a disk; this goes to a reader, who may stop, and a log repeats itself.
  const parser = new Parser({ strict: true, maxDecompressionRatio: Number.POSITIVE_INFINITY });
  parser.on('entry', (entry) => {
    if (/File$/.test(entry.type)) entry.pipe(target, { end: false });
    else entry.resume();
  });
  try {
    await pipeline(content, parser as unknown as Writable);
  } catch (error) {
    if (error instanceof PandaError) throw error;
    throw new Unavailable(`the log ${file.name} is damaged or did not arrive whole`, { cause: error });
  }
}

/**
 * Writes what there is of the log of a job that runs.
 *
 * @param onStart called before the first byte
 * @returns false when there was none
 */
export async function writeLiveLog(
  client: Pick<JobLogCalls, 'getJobLog'>,
  jobId: number,
  target: Writable,
  onStart: () => void,
): Promise<boolean> {
  let offset = 0;
  for (let hasBegun = false; ; hasBegun = true) {
    const { content, next } = await client.getJobLog({ job_id: jobId, offset });
    if (next === offset) return hasBegun;
    if (!hasBegun) onStart();
    offset = next;
    if (!target.write(content)) await once(target, 'drain');
  }
}

function explain(error: unknown, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall && code) return new Misconfigured(`cannot write ${path} (${code}): choose another directory with --dir`);
  return error;
}
