import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffSeconds, untilAnswered } from '../../src/pilot/retry.ts';
import { Refused, Unavailable } from '../../src/protocol/errors.ts';

const never = new AbortController().signal;

test('pauses grow to their limit and differ from pilot to pilot', () => {
  const longest = [0, 1, 2, 3, 100].map((tries) => backoffSeconds(tries, 60, () => 0));
  assert.deepEqual(longest, [0.5, 1, 2, 4, 60]);
  assert.equal(
    backoffSeconds(100, 60, () => 1),
    30,
  );
});

test('a call is repeated until the server answers', async () => {
  let tries = 0;
  const told: string[] = [];
  const answer = await untilAnswered(
    async () => {
      if (++tries < 2) throw new Unavailable('away');
      return 'answer';
    },
    { forSeconds: 60, stopping: never, onFailure: (error) => told.push(error.message) },
  );
  assert.deepEqual([answer, told], ['answer', ['away']]);
});

test('what the server refuses is not repeated', async () => {
  let tries = 0;
  const call = async () => {
    tries += 1;
    throw new Refused('no', null);
  };
  await assert.rejects(untilAnswered(call, { forSeconds: 60, stopping: never }), Refused);
  assert.equal(tries, 1);
});

test('a call is given up when its time is over', async () => {
  const call = async () => {
    throw new Unavailable('away');
  };
  await assert.rejects(untilAnswered(call, { forSeconds: 0, stopping: never }), Unavailable);
});
