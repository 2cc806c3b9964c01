import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { followLogs } from '../../src/client/follow-logs.ts';
import { Unavailable } from '../../src/protocol/errors.ts';
import { LIVE_LOG_WAIT_SECONDS } from '../../src/protocol/limits.ts';

type Calls = Pick<Client, 'getJobIds' | 'getJobDescription' | 'getJobLog' | 'getJobFile'>;

/** A task with one job that runs for ever and has printed a line. */
function runningJob(changes: Partial<Calls> = {}) {
  let calls = 0;
  const client = {
    getJobIds: async () => [1],
    getJobDescription: async () => {
      calls += 1;
      return [{ PandaID: 1, attemptNr: 1, jobStatus: 'running' }];
    },
    getJobLog: async ({ offset }: { offset: number }) => ({
      content: Buffer.from('a line\n').subarray(offset),
      next: 7,
      log_file: null,
    }),
    ...changes,
  } as unknown as Calls;
  return { client, calls: () => calls };
}

test('who follows a log can stop at any time, and then nothing more is asked or told', async () => {
  const stopping = new AbortController();
  const { client, calls } = runningJob();
  let text = '';
  const following = (async () => {
    for await (const { bytes } of followLogs(client, 10_000_001, { everySeconds: 3600, signal: stopping.signal })) {
      text += Buffer.from(bytes).toString();
      setImmediate(() => stopping.abort()); // While it waits to ask again.
    }
  })();
  await assert.rejects(following, { name: 'AbortError' });
  assert.deepEqual([text, calls()], ['a line\n', 1]);
});

test('who stops while the server is away does not wait for it', async () => {
  const stopping = new AbortController();
  const { client } = runningJob({
    getJobIds: async () => {
      throw new Unavailable('nothing listens there');
    },
  });
  const onTrouble = () => setImmediate(() => stopping.abort());
  const pieces = followLogs(client, 10_000_001, { everySeconds: 3600, signal: stopping.signal, onTrouble });
  await assert.rejects(pieces.next(), { name: 'AbortError' });
});

/** Its server waits for more of a log, as long as `waits` says, and has all that is in `log`. */
function waitingServer(waits: () => Promise<void>) {
  const asked: unknown[] = [];
  let log = 'one\n';
  let described = 0;
  const { client } = runningJob({
    getJobDescription: (async () => {
      described += 1;
      return [{ PandaID: 1, attemptNr: 1, jobStatus: 'running' }];
    }) as unknown as Calls['getJobDescription'],
    getJobLog: (async ({ offset, wait_seconds }: { offset: number; wait_seconds?: number }) => {
      asked.push(wait_seconds);
      if (wait_seconds !== undefined && offset === log.length) await waits();
      return { content: Buffer.from(log.slice(offset)), next: log.length, more: false, log_file: null };
    }) as unknown as Calls['getJobLog'],
  });
  return { client, asked, described: () => described, grow: (text: string) => (log += text) };
}

test('the log of a job that is alone is waited for, without other questions while it grows', async () => {
  let lines = 1;
  const { client, asked, described, grow } = waitingServer(async () => {
    grow(`line ${++lines}\n`);
  });
  let text = '';
  for await (const { bytes } of followLogs(client, 10_000_001, { everySeconds: 3600 })) {
    text += Buffer.from(bytes).toString();
    if (lines === 4) break;
  }
  assert.equal(text, 'one\nline 2\nline 3\nline 4\n');
  assert.deepEqual(
    asked,
    [undefined, ...Array(3).fill(LIVE_LOG_WAIT_SECONDS)],
    'not before the server said that it can',
  );
  assert.equal(described(), 1);
});

test('behind a proxy that gives up sooner, answers wait for less, and those that were lost are asked for without a wait', async () => {
  const stopping = new AbortController();
  let troubles = 0;
  const { client, asked } = waitingServer(async () => {
    if (asked.length > 4) stopping.abort();
    if (Number(asked.at(-1)) > 2) throw new Unavailable('answered HTTP 504');
  });
  const options = { everySeconds: 0, signal: stopping.signal, onTrouble: () => troubles++ };
  const following = (async () => {
    for await (const _ of followLogs(client, 10_000_001, options));
  })();
  await assert.rejects(following, { name: 'AbortError' });
  assert.deepEqual(asked, [undefined, LIVE_LOG_WAIT_SECONDS, undefined, 2, 2]);
  assert.equal(troubles, 1);
});

test('who stops does not wait for an answer that waits', async () => {
  const stopping = new AbortController();
  const { client } = waitingServer(() => {
    setImmediate(() => stopping.abort());
    return new Promise(() => {});
  });
  const following = (async () => {
    for await (const _ of followLogs(client, 10_000_001, { everySeconds: 3600, signal: stopping.signal }));
  })();
  await assert.rejects(following, { name: 'AbortError' });
});

test('the logs of several jobs are asked for in turn, once each where the server has no more', async () => {
  const asked: object[] = [];
  const stopping = new AbortController();
  const { client } = runningJob({
    getJobIds: async () => [1, 2],
    getJobDescription: (async () =>
      [1, 2].map((PandaID) => ({
        PandaID,
        attemptNr: 1,
        jobStatus: 'running',
      }))) as unknown as Calls['getJobDescription'],
    getJobLog: (async (from: { job_id: number; offset: number }) => {
      asked.push(from);
      if (asked.length === 2) setImmediate(() => stopping.abort());
      return { content: Buffer.from('a line\n'), next: 7, more: false, log_file: null };
    }) as unknown as Calls['getJobLog'],
  });
  const following = (async () => {
    for await (const _ of followLogs(client, 10_000_001, { everySeconds: 3600, signal: stopping.signal }));
  })();
  await assert.rejects(following, { name: 'AbortError' });
  assert.deepEqual(
    asked,
    [1, 2].map((job_id) => ({ job_id, attempt: 1, offset: 0 })),
  );
});
