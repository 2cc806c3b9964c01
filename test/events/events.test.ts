import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEvents, type RoomEvent } from '../../src/events/events.ts';

const HAPPENED: RoomEvent = { event: 'jobs.acquired', queue: 'Q', jobs: 1 };

test('all who listen hear what happens, until they stop', () => {
  const { tell, listen } = createEvents(assert.ifError);
  const [heard, alsoHeard]: [RoomEvent[], RoomEvent[]] = [[], []];
  const stop = listen((event) => heard.push(event));
  listen((event) => alsoHeard.push(event));
  tell(HAPPENED);
  stop();
  tell(HAPPENED);
  assert.deepEqual([heard, alsoHeard], [[HAPPENED], [HAPPENED, HAPPENED]]);
});

test('a listener that fails disturbs neither the room nor the others', () => {
  const errors: unknown[] = [];
  const heard: RoomEvent[] = [];
  const { tell, listen } = createEvents((error) => errors.push(error));
  listen(() => {
    throw new Error('no');
  });
  listen((event) => heard.push(event));
  tell(HAPPENED);
  assert.deepEqual(heard, [HAPPENED]);
  assert.equal(errors.length, 1);
});
