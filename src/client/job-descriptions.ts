import type { JobDescription } from '../protocol/calls/job.ts';
import type { JobCalls } from './jobs.ts';

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
    jobs.push(...part);
  }
  return jobs.filter((job) => job !== null);
}
