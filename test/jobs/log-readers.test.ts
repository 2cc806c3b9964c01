import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLogReaders, type LogNews } from '../../src/jobs/log-readers.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import {
  FOLLOW_SECONDS,
  LIVE_LOG_WAIT_SECONDS,
  MAX_WAITING_READERS,
  MAX_WAITING_READERS_PER_OWNER,
} from '../../src/protocol/limits.ts';

const LOG = { jobId: 1, attempt: 2 };
const OTHER = { jobId: 1, attempt: 3 };
const alice = 'alice' as OwnerId;

/** Readers whose time passes when the test says so; `answers` has those that came. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const readers = createLogReaders();
  t.after(() => readers.close());
  const answers = new Map<string, LogNews | undefined>();
  return {
    readers,
    answers,
    wait(name: string, { offset = 0, seconds = 60, owner = alice, log = LOG } = {}) {
      const reader = readers.wait(owner, log, offset, seconds);
      reader?.news.then((news) => answers.set(name, news));
      return reader;
    },
    append: (offset: number, text: string, { size = offset + text.length, isSigned = false } = {}) =>
      readers.tell(LOG, { offset, bytes: Buffer.from(text), size, isSigned }),
    /** @returns the answers so far */
    async pass(seconds = 0) {
      t.mock.timers.tick(seconds * 1000);
      await new Promise((resolve) => setImmediate(resolve));
      return [...answers.keys()];
    },
  };
}

test('a reader is told of what follows its offset, in the bytes of the part where it has them', async (t) => {
  const { wait, append, pass, answers } = setUp(t);
  wait('from the start');
  wait('from within', { offset: 2 });
  wait('from behind', { offset: 4 });
  wait('of another attempt', { log: OTHER });
  append(0, 'one\n');
  assert.deepEqual(await pass(), ['from the start', 'from within']);
  assert.deepEqual(
    [answers.get('from the start'), answers.get('from within')],
    [{ bytes: Buffer.from('one\n') }, { bytes: Buffer.from('e\n') }],
  );
  wait('of an earlier part', { offset: 3 });
  append(4, 'two\n');
  assert.deepEqual((await pass()).slice(2), ['from behind', 'of an earlier part']);
  assert.deepEqual(answers.get('from behind'), { bytes: Buffer.from('two\n') });
  assert.deepEqual(answers.get('of an earlier part'), {}, 'it is to be read');
});

test('a part that adds nothing, or ends before the log does, gives nobody bytes of another place', async (t) => {
  const { wait, append, pass, answers } = setUp(t);
  append(0, 'one\ntwo\n');
  wait('at the end', { offset: 8 });
  wait('within', { offset: 6 });
  append(0, 'one\n', { size: 8 });
  assert.deepEqual(await pass(), ['within']);
  assert.deepEqual(answers.get('within'), {});
  append(0, 'one\ntwo\nthree\n', { size: 10 });
  await pass();
  assert.deepEqual(answers.get('at the end'), { bytes: Buffer.from('th') }, 'no more than was kept');
});

test('signed parts are read from where they are kept', async (t) => {
  const { wait, append, pass, answers } = setUp(t);
  wait('reader');
  append(0, 'one\n', { size: 14, isSigned: true });
  assert.deepEqual([await pass(), answers.get('reader')], [['reader'], {}]);
});

test('a log that other processes may add to is waited for as long as between two questions, one of this process longer', async (t) => {
  const { wait, append, pass, answers } = setUp(t);
  wait('unknown');
  wait('less', { seconds: 1 });
  assert.deepEqual(await pass(1), ['less']);
  assert.deepEqual(await pass(FOLLOW_SECONDS - 1), ['less', 'unknown']);
  append(0, 'one\n');
  wait('known', { offset: 4 });
  assert.deepEqual(await pass(FOLLOW_SECONDS), ['less', 'unknown']);
  assert.deepEqual(await pass(LIVE_LOG_WAIT_SECONDS - FOLLOW_SECONDS), ['less', 'unknown', 'known']);
  assert.equal(answers.get('known'), undefined);
});

test('what was taken last is known until the log is gone', async (t) => {
  const { readers, wait, append, pass } = setUp(t);
  assert.equal(readers.isRead(LOG, 0), false);
  append(0, 'one\n');
  assert.deepEqual([readers.isRead(LOG, 4), readers.isRead(LOG, 2), readers.isRead(OTHER, 4)], [true, false, false]);
  wait('reader', { offset: 4 });
  readers.end(LOG);
  assert.deepEqual(await pass(), ['reader']);
  assert.equal(readers.isRead(LOG, 4), false);
});

test('an owner has so many who wait and no more, which keeps nobody else from it', async (t) => {
  const { readers, wait, pass } = setUp(t);
  const first = wait('first');
  for (let n = 1; n < MAX_WAITING_READERS_PER_OWNER; n++) assert.ok(wait(`${n}`));
  assert.equal(wait('too many'), undefined);
  assert.ok(wait('of another', { owner: 'bob' as OwnerId }));
  first?.stop();
  first?.stop();
  assert.ok(wait('in its place'));
  assert.equal(wait('too many'), undefined);
  readers.close();
  assert.equal((await pass()).length, MAX_WAITING_READERS_PER_OWNER + 2);
  assert.equal(wait('after the end'), undefined);
});

test('all owners together have so many who wait and no more', (t) => {
  const { readers, wait } = setUp(t);
  const owners = Array.from(
    { length: MAX_WAITING_READERS / MAX_WAITING_READERS_PER_OWNER },
    (_, n) => `${n}` as OwnerId,
  );
  for (let n = 0; n < MAX_WAITING_READERS_PER_OWNER; n++) for (const owner of owners) assert.ok(wait('one', { owner }));
  assert.equal(wait('too many'), undefined);
  readers.end(LOG);
  assert.ok(wait('later'));
});
