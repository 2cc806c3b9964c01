import type { Arguments } from '../protocol/calls/call.ts';
import type { appendJobLog, getJobLog, JobLogPart, KeptLog } from '../protocol/calls/job-log.ts';
import type { Transport } from './transport.ts';

/** The log of a job while it runs: extensions of ours. Every call throws as `Transport` says. */
export interface JobLogCalls {
  /** For its pilot: adds bytes of it. */
  appendJobLog(part: Arguments<typeof appendJobLog>, bytes: Uint8Array): Promise<KeptLog>;
  /** For its owner: what there is of it, as the bytes that they are. */
  getJobLog(from: Arguments<typeof getJobLog>): Promise<Omit<JobLogPart, 'content'> & { content: Buffer }>;
}

export function jobLogCalls(transport: Transport): JobLogCalls {
  return {
    async appendJobLog(part, bytes) {
      const content = { type: 'application/octet-stream', body: bytes };
      return (await transport.send('pilot/append_job_log', part, content)).data;
    },
    async getJobLog(from) {
      const { data } = await transport.get('job/get_log', from);
      return { ...data, content: Buffer.from(data.content, 'base64') };
    },
  };
}
