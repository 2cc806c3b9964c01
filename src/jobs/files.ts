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
  /** Bytes. */
  size: number;
  /** The blob that holds it, hex; null when its pilot put it elsewhere. */
  sha256: string | null;
  /** Where it is then, as that pilot wrote it: a URL, or a path that the site knows. */
  location: string | null;
}

/** A file that a pilot brought back, or put elsewhere. */
export type BroughtFile = Omit<JobFile, 'serial' | 'sha256' | 'location'> & ({ sha256: string } | { location: string });

export async function checkUpload(
  store: Store,
  pilotId: string,
  attempt: { jobId: number; attempt: number },
): Promise<void> {
  await checkHeld(store.db, pilotId, attempt);
}

export async function addFile({ store, clock }: JobsContext, pilotId: string, file: BroughtFile): Promise<void> {
  checkFileName(file.name, 'name');
  const { jobId, attempt, name, kind, size } = file;
  const place = 'sha256' in file ? { sha256: file.sha256, location: null } : { sha256: null, location: file.location };
  await store.write(async (tx) => {
    await checkHeld(tx, pilotId, file);
    await upsertJobFile(tx, { job_id: jobId, attempt, name, kind, ...place, size, created_at: clock() });
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
    size: row.size,
    sha256: row.sha256,
    location: row.location,
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
  const { kind, size, sha256, location } = row;
  return { jobId, attempt, name, kind: kind as JobFile['kind'], size, sha256, location };
}
