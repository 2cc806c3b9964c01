import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { followLogs } from '../../src/client/follow-logs.ts';
import { Unavailable } from '../../src/protocol/errors.ts';

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
