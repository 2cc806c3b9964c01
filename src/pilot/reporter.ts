import type { Client } from '../client/client.ts';
import type { Arguments } from '../protocol/calls/call.ts';
import type { KeptLog } from '../protocol/calls/job-log.ts';
import type { PilotJob, updateJob } from '../protocol/calls/pilot.ts';
import { type AttemptFailed, Refused, Unauthenticated } from '../protocol/errors.ts';
import { RESULT_RETRY_SECONDS } from '../protocol/limits.ts';
import { pandaTime } from '../protocol/panda-time.ts';
import type { JobState } from '../protocol/states.ts';
import { pause, untilAnswered } from './retry.ts';

/** The calls that a pilot makes. */
export type PilotServer = Pick<
  Client,
  'origin' | 'acquireJobs' | 'updateJob' | 'getPilotJobStatus' | 'appendJobLog' | 'uploadJobFile' | 'downloadSandbox'
>;

/** The end of an attempt. */
export interface AttemptEnd {
  /** Absent when it finished. */
  failure?: AttemptFailed | undefined;
  /** A note for the owner of one that finished. */
  finding?: string | undefined;
  /** Of the payload, when it ran: 128 and the signal's number for one that a signal ended. */
  exitCode?: number | undefined;
}

export interface ReporterOptions {
  server: PilotServer;
  job: Pick<PilotJob, 'PandaID' | 'attemptNr'>;
  node: { name: string; queue: string };
  heartbeatSeconds: number;
  /** Aborted when the pilot itself is told to stop: from then on nothing is repeated for long. */
  stopping: AbortSignal;
  /** The server wants the attempt to end: its owner killed it, it is no longer this pilot's, or the pilot's session has ended. */
  onKill: () => void;
  onTrouble: (error: Error) => void;
}

/** Tells the server about one attempt. */
export interface Reporter {
  /** Reports this state now and then every heartbeat, until another is reported. */
  is(state: Extract<JobState, 'starting' | 'running' | 'holding'>): void;
  /** Adds to the log that the job's owner sees while it runs; one try. */
  appendLog(offset: number, bytes: Uint8Array, signature?: string): Promise<KeptLog>;
  /** Uploads a file, and repeats it until the server has it. @throws {Refused} when it does not want it */
  upload(kind: 'log' | 'output', name: string, file: { path: string; signature?: string }): Promise<void>;
  /** Reports the end, and repeats it until the server has it. @returns the reason when it does not want it */
  ended(end: AttemptEnd): Promise<string | undefined>;
}

export function createReporter(options: ReporterOptions): Reporter {
  const { server, job, node, stopping } = options;
  const startedAt = new Date();
  const common = { job_id: job.PandaID, attempt_nr: job.attemptNr, site_name: node.queue, node: node.name };
  let beating = new AbortController();
  /** One report at a time, so that a late heartbeat never arrives after the end. */
  let last: Promise<void> = Promise.resolve();

  async function beat(state: string, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      const report = server.updateJob({ ...common, job_status: state, start_time: pandaTime(startedAt) });
      const seconds = await report.then(
        ({ command }) => {
          if (command === 'tobekilled') options.onKill();
          return options.heartbeatSeconds;
        },
        (error: Error) => {
          if (error instanceof Refused || error instanceof Unauthenticated) options.onKill();
          else options.onTrouble(error);
          return options.heartbeatSeconds / 3;
        },
      );
      await pause(seconds, until);
    }
  }

  const insist = <T>(call: () => Promise<T>): Promise<T> =>
    untilAnswered(call, { forSeconds: RESULT_RETRY_SECONDS, stopping, onFailure: options.onTrouble });

  return {
    is(state) {
      beating.abort();
      beating = new AbortController();
      const { signal } = beating;
      last = last.then(() => beat(state, signal));
    },
    appendLog: (offset, bytes, signature) =>
      server.appendJobLog(
        { job_id: job.PandaID, attempt_nr: job.attemptNr, offset, ...(signature !== undefined && { signature }) },
        bytes,
      ),
    upload: (kind, name, { path, ...signature }) =>
      insist(() =>
        server.uploadJobFile({ job_id: job.PandaID, attempt_nr: job.attemptNr, kind, name, ...signature }, path),
      ),
    async ended(end) {
      beating.abort();
      await last;
      const report = {
        ...common,
        ...endFields(end),
        start_time: pandaTime(startedAt),
        end_time: pandaTime(new Date()),
      };
      try {
        await insist(() => server.updateJob(report));
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
  };
}

/** An attempt's end in PanDA's fields. */
function endFields({ failure, finding, exitCode }: AttemptEnd): Partial<Arguments<typeof updateJob>> {
  if (!failure) {
    return {
      job_status: 'finished',
      trans_exit_code: exitCode ?? 0,
      pilot_error_code: 0,
      ...(finding === undefined ? {} : { pilot_error_diag: finding }),
    };
  }
  return {
    job_status: 'failed',
    pilot_error_code: failure.pilotErrorCode,
    pilot_error_diag: failure.message,
    ...(failure.isGivenBack && { given_back: true }),
    ...(exitCode === undefined
      ? {}
      : { trans_exit_code: exitCode, exe_error_code: exitCode, exe_error_diag: failure.message }),
  };
}
