import type { Arguments } from '../protocol/calls/call.ts';
import type { appendJobLog, getJobLog, JobLogPart, KeptLog } from '../protocol/calls/job-log.ts';
import type { Transport } from './transport.ts';

/** A part of a log, as the bytes that it is. */
export interface LogPart extends Omit<JobLogPart, 'content' | 'next'> {
  content: Buffer;
  /** The offset of what follows; the same as its own when there is nothing more so far. */
  next: number;
}

/** The log of a job while it runs: extensions of ours. Every call throws as `Transport` says. */
export interface JobLogCalls {
  /** For its pilot: adds bytes of it. */
  appendJobLog(part: Arguments<typeof appendJobLog>, bytes: Uint8Array): Promise<KeptLog>;
  /** For its owner: what there is of it, as the bytes that they are. */
  getJobLog(from: Arguments<typeof getJobLog>): Promise<LogPart>;
}

export function jobLogCalls(transport: Transport): JobLogCalls {
  return {
    async appendJobLog(part, bytes) {
      const content = { type: 'application/octet-stream', body: bytes };
      return (await transport.send('pilot/append_job_log', part, content)).data;
    },
    async getJobLog(from) {
      const { data } = await transport.get('job/get_log', from);
      const content = Buffer.from(data.content, 'base64');
      return { ...data, content, next: data.next ?? (from.offset ?? 0) + content.length };
    },
  };
}
