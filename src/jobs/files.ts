import { Conflict, InvalidArgument, NotFound } from '../protocol/errors.ts';
import { checkFileName } from '../protocol/file-name.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type JobTemplate, splitJob } from '../protocol/job-split.ts';
import { readFilesOfTask, readJobFile, upsertJobFile } from '../store/job-files.ts';
import type { Database, Store } from '../store/store.ts';
import { readTemplates } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { readAttemptOf } from './report.ts';
import { getTask } from './task-info.ts';

/** A log or output of an attempt. */
export interface JobFile {
  jobId: number;
  /** The job's number within its task, from 1. */
  serial: number;
  attempt: number;
  name: string;
  kind: 'log' | 'output';
  /** Bytes. */
  size: number;
  /** The blob that holds it, hex; null when its pilot put it elsewhere. */
  sha256: string | null;
  /** Where it is then, as that pilot wrote it: a URL, or a path that the site knows. */
  location: string | null;
  /** The node's word for its bytes, which its owner can check; null when it gave none. */
  signature: string | null;
}

/** A file that a pilot brought back, or put elsewhere. */
export type BroughtFile = Omit<JobFile, 'serial' | 'sha256' | 'location' | 'signature'> &
  ({ sha256: string; signature?: string | undefined } | { location: string });

/** See {@link Jobs.checkUpload}. */
export async function checkUpload(
  store: Store,
  pilotId: string,
  file: Pick<JobFile, 'jobId' | 'attempt'> & Partial<Pick<JobFile, 'kind' | 'name'>>,
): Promise<OwnerId> {
  const held = await checkHeld(store.db, pilotId, file);
  const { kind, name } = file;
  if (kind !== undefined && name !== undefined) await checkDeclared(store.db, held, { kind, name });
  return held.owner_id as OwnerId;
}

export async function addFile({ store, clock }: JobsContext, pilotId: string, file: BroughtFile): Promise<void> {
  checkFileName(file.name, 'name');
  const { jobId, attempt, name, kind, size } = file;
  const place =
    'sha256' in file
      ? { sha256: file.sha256, location: null, signature: file.signature ?? null }
      : { sha256: null, location: file.location, signature: null };
  await store.grow(async (tx) => {
    await checkDeclared(tx, await checkHeld(tx, pilotId, file), file);
    await upsertJobFile(tx, { job_id: jobId, attempt, name, kind, ...place, size, created_at: clock() });
  });
}

async function checkHeld(db: Database, pilotId: string, { jobId, attempt }: { jobId: number; attempt: number }) {
  const held = await readAttemptOf(db, pilotId, { jobId, attempt });
  if (held.ended_at !== null)
    throw new Conflict(`attempt ${attempt} of job ${jobId} has ended: its files are not taken`);
  return held;
}

/** The files of a job are those that its owner asked for. A pilot of PanDA's counts its logs on behind the name. */
async function checkDeclared(
  db: Database,
  { job_id: jobId, task_id: taskId, serial }: { job_id: number; task_id: number; serial: number },
  { kind, name }: Pick<JobFile, 'kind' | 'name'>,
): Promise<void> {
  checkFileName(name, 'name');
  const [task] = await readTemplates(db, [taskId]);
  if (!task) throw new NotFound(`there is no task ${taskId}`);
  if (task.fault !== undefined) throw task.fault;
  const { outputs, logName } = splitJob(JSON.parse(task.parameters) as JobTemplate, { taskId, serial });
  if (kind === 'output' ? outputs.includes(name) : name.replace(/\.\d{1,3}$/, '') === logName || name === logName)
    return;
  throw new InvalidArgument(`name: job ${jobId} brings back no ${kind} "${name}"`);
}

export async function listFiles(store: Store, owner: OwnerId, taskId: number): Promise<JobFile[]> {
  await getTask(store, owner, taskId);
  return (await readFilesOfTask(store.db, owner, taskId)).map((row) => ({
    jobId: row.job_id,
    serial: row.serial,
    attempt: row.attempt,
    name: row.name,
    kind: row.kind as JobFile['kind'],
    size: row.size,
    sha256: row.sha256,
    location: row.location,
    signature: row.signature,
  }));
}

export async function findFile(
  store: Store,
  owner: OwnerId,
  { jobId, attempt, name }: { jobId: number; attempt: number; name: string },
): Promise<Omit<JobFile, 'serial'>> {
  checkFileName(name, 'name');
  const row = await readJobFile(store.db, owner, jobId, attempt, name);
  if (!row) throw new NotFound(`attempt ${attempt} of job ${jobId} has no file "${name}"`);
  const { kind, size, sha256, location, signature } = row;
  return { jobId, attempt, name, kind: kind as JobFile['kind'], size, sha256, location, signature };
}
