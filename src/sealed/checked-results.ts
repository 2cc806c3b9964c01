import { createHash } from 'node:crypto';
import type { Client } from '../client/client.ts';
import type { LogPart } from '../client/job-logs.ts';
import type { JobDescription, ListedJobFile } from '../protocol/calls/job.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import type { AgeKey } from '../sealing/hybrid-age.ts';
import { type GrantedTask, namesOf, type SeenAttempt } from './granted-tasks.ts';
import { checkedBytes, checkedWhole, openedBytes, openedStream } from './open-result.ts';
import { type ResultCheckOptions, resultCheck } from './result-check.ts';

/** The results of one task, of which nothing is taken that the nodes of its sites did not sign for it. */
export interface CheckedResults {
  /**
   * The client; `getJobFile` and `getJobLog` give what was checked, and opened where it was sealed. They throw a {@link SealedRefusal} for
   * what is fabricated, unsigned, another job's or another attempt's; and for parts of a live log that are not all there and in order.
   */
  client: Client;
  /**
   * The outputs or logs that jobs which ended were to bring, and whose signed end was not seen here.
   *
   * @throws {SealedRefusal} `result-old` when the server tells of fewer attempts than were seen
   */
  missing(kind: ListedJobFile['kind'], jobs: readonly JobDescription[]): Promise<MissingResult[]>;
  /** Keeps which attempts were seen, so that no older ones are taken for them. */
  close(): Promise<void>;
}

export interface MissingResult {
  name: string;
  /** It must be there: a job that failed need not have a log, and a node may hold an output back. */
  isCertain: boolean;
}

export interface CheckedResultsOptions extends ResultCheckOptions {
  /** The key that opens results: asked for when it is needed. */
  identity(): Promise<AgeKey['identity']>;
  /** Keeps attempts that were seen. */
  see(seen: readonly SeenAttempt[]): Promise<void>;
}

/** A file as the server tells of it. */
type ToldFile = Pick<ListedJobFile, 'kind'> & { signature: string | undefined; isLatest: boolean };

/** A live log, as far as it was read. */
interface Reading {
  offset: number;
  seq: number;
  hasEnded: boolean;
}

export function checkedResults(
  client: Client,
  task: GrantedTask,
  { identity, see, ...options }: CheckedResultsOptions,
): CheckedResults {
  const checks = resultCheck(client, task, options);
  const told = new Map<string, ToldFile>();
  const readings = new Map<string, Reading>();
  const came = new Set<string>();
  let ids: readonly number[] | undefined;
  const keyOf = (file: Pick<ListedJobFile, 'job_id' | 'attempt' | 'name'>) =>
    `${file.job_id}.${file.attempt}.${file.name}`;

  /** One answer is used: with another each time, a server could show the log of one job as another's. */
  async function jobIds(): Promise<readonly number[]> {
    ids ??= await client.getJobIds(task.task);
    const known = ids;
    if (known.length !== task.jobs) {
      throw new SealedRefusal(
        'result-missing',
        `task ${task.task} has ${task.jobs} jobs, the server shows ${known.length}`,
      );
    }
    return known;
  }

  /** The place of a job in its task, which is its number in what its node signs. */
  async function serialOf(jobId: number): Promise<number> {
    return (await jobIds()).indexOf(jobId) + 1;
  }

  async function fileOf(file: Parameters<Client['getJobFile']>[0]) {
    const { job_id, attempt, name } = file;
    const { kind, signature, isLatest } = told.get(keyOf(file)) ?? {
      kind: 'output',
      signature: undefined,
      isLatest: true,
    };
    const serial = await serialOf(job_id);
    const { sha256 } = await checks.check(signature, { serial, kind, name, attempt, isLatest });
    const content = await client.getJobFile(file);
    // An output has its name only when all of it was checked; a log is seen as it comes.
    const checked = kind === 'log' ? await checkedWhole(content, sha256, name) : checkedBytes(content, sha256, name);
    came.add(`${serial}.${attempt}.${name}`);
    return task.isSealed ? openedStream(checked, await identity(), name) : checked;
  }

  async function partOf(from: Parameters<Client['getJobLog']>[0]): Promise<LogPart> {
    const part = await client.getJobLog(from);
    const { offset = 0 } = from;
    const serial = await serialOf(from.job_id);
    const { logName: name } = namesOf(task, Math.max(serial, 1));
    const { attempt } = part;
    const isLatest = from.attempt === undefined;
    if (part.job_id !== from.job_id || attempt !== (from.attempt ?? attempt))
      throw new SealedRefusal('result-other', name);
    if (part.log_file !== null) {
      const file = { job_id: from.job_id, attempt, name: part.log_file };
      told.set(keyOf(file), { kind: 'log', signature: part.log_signature, isLatest });
    }
    const { parts = [] } = part;
    const signed = parts.reduce((sum, { size }) => sum + size, 0);
    if (signed < part.content.length) throw new SealedRefusal('result-unsigned', name);
    if (parts.length === 0) return { ...part, next: offset };
    if (signed > part.content.length || part.next <= offset) throw new SealedRefusal('result-format', name);

    const key = `${from.job_id}.${attempt}`;
    const before = readings.get(key);
    const reading = before?.offset === offset ? { ...before } : { offset: 0, seq: 0, hasEnded: false };
    if (reading.offset !== offset) throw new SealedRefusal('result-order', name);
    const opened: Buffer[] = [];
    let at = 0;
    for (const { size, signature } of parts) {
      const bytes = part.content.subarray(at, at + size);
      at += size;
      const wanted = { serial, kind: 'live' as const, name, attempt, isLatest };
      const { seq, last, sha256 } = await checks.check(signature, wanted);
      if (seq !== reading.seq || reading.hasEnded) throw new SealedRefusal('result-order', name);
      if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new SealedRefusal('result-other', name);
      opened.push(task.isSealed ? await openedBytes(bytes, await identity(), name) : bytes);
      reading.seq += 1;
      reading.hasEnded = last;
      if (last) came.add(`${serial}.${attempt}.${name}`);
    }
    readings.set(key, { ...reading, offset: part.next });
    return { ...part, content: Buffer.concat(opened) };
  }

  return {
    client: {
      ...client,
      getJobIds: (taskId) => (taskId === task.task ? jobIds() : client.getJobIds(taskId)),
      async getJobFiles(taskId) {
        const files = await client.getJobFiles(taskId);
        for (const file of files) {
          const { kind, signature } = file;
          told.set(keyOf(file), { kind, signature, isLatest: true });
        }
        return files;
      },
      getJobFile: fileOf,
      getJobLog: partOf,
    },
    async missing(kind, jobs) {
      const lost: MissingResult[] = [];
      if (new Set(jobs.map(({ PandaID }) => PandaID)).size !== task.jobs) {
        throw new SealedRefusal('result-missing', `task ${task.task}`);
      }
      for (const { PandaID, jobStatus, attemptNr } of jobs) {
        const isFinished = jobStatus === 'finished';
        const serial = await serialOf(PandaID);
        if (checks.latest(serial) > attemptNr) throw new SealedRefusal('result-old', namesOf(task, serial).logName);
        if (!isFinished && !(kind === 'log' && jobStatus === 'failed')) continue;
        const { outputs, logName } = namesOf(task, serial);
        const wanted = kind === 'output' ? outputs : [logName];
        const names = wanted.filter((name) => !came.has(`${serial}.${attemptNr}.${name}`));
        const isCertain = isFinished && !(kind === 'output' && task.mayHold);
        lost.push(...names.map((name) => ({ name, isCertain })));
      }
      return lost;
    },
    async close() {
      const seen = checks.seen();
      if (seen.length > 0) await see(seen);
    },
  };
}
