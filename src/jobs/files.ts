import { Conflict, NotFound } from '../protocol/errors.ts';
import { checkFileName } from '../protocol/file-name.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { readFilesOfTask, readJobFile, upsertJobFile } from '../store/job-files.ts';
import type { Database, Store } from '../store/store.ts';
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
  /** The blob that holds it, hex. */
  sha256: string;
  /** Bytes. */
  size: number;
}

/** What a pilot brought back. */
export type UploadedFile = Omit<JobFile, 'serial'>;

export async function checkUpload(
  store: Store,
  pilotId: string,
  attempt: { jobId: number; attempt: number },
): Promise<void> {
  await checkHeld(store.db, pilotId, attempt);
}

export async function addFile({ store, clock }: JobsContext, pilotId: string, file: UploadedFile): Promise<void> {
  checkFileName(file.name, 'name');
  const { jobId, attempt, name, kind, sha256, size } = file;
  await store.write(async (tx) => {
    await checkHeld(tx, pilotId, file);
    await upsertJobFile(tx, { job_id: jobId, attempt, name, kind, sha256, size, created_at: clock() });
  });
}

async function checkHeld(db: Database, pilotId: string, { jobId, attempt }: { jobId: number; attempt: number }) {
  const held = await readAttemptOf(db, pilotId, { jobId, attempt });
  if (held.ended_at !== null)
    throw new Conflict(`attempt ${attempt} of job ${jobId} has ended: its files are not taken`);
}

export async function listFiles(store: Store, owner: OwnerId, taskId: number): Promise<JobFile[]> {
  await getTask(store, owner, taskId);
  return (await readFilesOfTask(store.db, owner, taskId)).map((row) => ({
    jobId: row.job_id,
    serial: row.serial,
    attempt: row.attempt,
    name: row.name,
    kind: row.kind as JobFile['kind'],
    sha256: row.sha256,
    size: row.size,
  }));
}

export async function findFile(
  store: Store,
  owner: OwnerId,
  { jobId, attempt, name }: { jobId: number; attempt: number; name: string },
): Promise<Omit<JobFile, 'serial'>> {
  const row = await readJobFile(store.db, owner, jobId, attempt, name);
  if (!row) throw new NotFound(`attempt ${attempt} of job ${jobId} has no file "${name}"`);
  return { jobId, attempt, name, kind: row.kind as JobFile['kind'], sha256: row.sha256, size: row.size };
}
