import type { Readable } from 'node:stream';
import type { Arguments } from '../protocol/calls/call.ts';
import type { JobDescription, ListedJobFile } from '../protocol/calls/job.ts';
import type {
  acquireJobs,
  JobCommand,
  PilotJob,
  PilotJobStatus,
  updateJob,
  uploadJobFile,
} from '../protocol/calls/pilot.ts';
import { Refused } from '../protocol/errors.ts';
import type { Transport } from './transport.ts';

/** A user's view of the jobs of a task. Every call throws as `Transport` says. */
export interface JobCalls {
  /** Logs and outputs that the jobs brought back, of each job's last attempt (our extension). */
  getJobFiles(taskId: number): Promise<readonly ListedJobFile[]>;
  /** The content of one of them. */
  getJobFile(file: Pick<ListedJobFile, 'job_id' | 'attempt' | 'name'>): Promise<Readable>;
  /** In the order of the ids; null for a job that the server does not know. */
  getJobDescription(jobIds: readonly number[]): Promise<readonly (JobDescription | null)[]>;
}

/** A pilot's questions and reports. Every call throws as `Transport` says. */
export interface PilotCalls {
  /** The jobs that the pilot now holds; none when nothing waits. */
  acquireJobs(request: Arguments<typeof acquireJobs>): Promise<readonly PilotJob[]>;
  updateJob(report: Arguments<typeof updateJob>): Promise<JobCommand>;
  getPilotJobStatus(jobIds: readonly number[]): Promise<readonly PilotJobStatus[]>;
  /** @param content the path of a file; or a stream, where requests are not signed */
  uploadJobFile(file: Arguments<typeof uploadJobFile>, content: string | Readable): Promise<void>;
  /** Ends the session that requests are signed in. */
  leave(): Promise<void>;
}

export function jobCalls(transport: Transport): JobCalls {
  return {
    async getJobFiles(taskId) {
      return (await transport.get('job/get_files', { task_id: taskId })).data;
    },
    getJobFile: ({ job_id, attempt, name }) => transport.open('job/get_file', { job_id, attempt, name }),
    async getJobDescription(jobIds) {
      return (await transport.get('job/get_description', { job_ids: jobIds })).data;
    },
  };
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
    jobs.push(...part);
  }
  return jobs.filter((job) => job !== null);
}

export function pilotCalls(transport: Transport): PilotCalls {
  return {
    async acquireJobs(request) {
      try {
        return (await transport.post('pilot/acquire_jobs', request)).data.jobs ?? [];
      } catch (error) {
        if (error instanceof Refused && error.message.startsWith('No jobs in PanDA')) return [];
        throw error;
      }
    },
    async updateJob(report) {
      return (await transport.post('pilot/update_job', report)).data;
    },
    async getPilotJobStatus(jobIds) {
      return (await transport.get('pilot/get_job_status', { job_ids: jobIds })).data;
    },
    async uploadJobFile(file, content) {
      await transport.send('pilot/upload_job_file', file, { type: 'application/octet-stream', body: content });
    },
    async leave() {
      await transport.post('pilot/leave', {});
    },
  };
}
