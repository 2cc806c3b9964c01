import type { JobCalls } from './jobs.ts';

/** What `job/get_description` tells of a job, in PanDA's names, for the fields that this project's programs read. */
export interface JobDescription {
  PandaID: number;
  jobStatus: string;
  attemptNr: number;
  maxAttempt: number;
  /** The queue. */
  computingSite: string | null;
  /** The node. */
  modificationHost: string | null;
  /** The payload's exit status. */
  transExitCode: number | string | null;
  pilotErrorCode: number | null;
  pilotErrorDiag: string | null;
  /** UTC, "YYYY-MM-DD HH:MM:SS". */
  startTime: string | null;
  endTime: string | null;
}

/** So many ids have room in a URL. */
const IDS_PER_CALL = 200;

/** Jobs in the order of `ids`, however many; those that the server does not know are left out. */
export async function describeJobs(
  client: Pick<JobCalls, 'getJobDescription'>,
  ids: readonly number[],
): Promise<JobDescription[]> {
  const jobs: (JobDescription | null)[] = [];
  for (let from = 0; from < ids.length; from += IDS_PER_CALL) {
    const part = await client.getJobDescription(ids.slice(from, from + IDS_PER_CALL));
    jobs.push(...(part as unknown as (JobDescription | null)[]));
  }
  return jobs.filter((job) => job !== null);
}
