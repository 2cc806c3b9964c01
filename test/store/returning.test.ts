import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { queryObjects } from 'node:v8';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { createReturning, ReturningCache } from '../../src/store/returning.ts';

const owners = (count: number) => Array.from({ length: count }, () => randomUUID() as OwnerId);
const share = (answers: readonly boolean[]) => answers.filter(Boolean).length / answers.length;

test('owners of a site who come again are told from those who come for the first time', () => {
  const isReturning = createReturning(10_000);
  const some = owners(1000);
  assert.ok(share(some.map(isReturning)) < 0.01);
  assert.ok(share(some.map(isReturning)) > 0.8);
});

test('a look at more owners than a server remembers leaves none to be remembered', () => {
  const isReturning = createReturning(10_000);
  const many = owners(100_000);
  for (let round = 0; round < 2; round++) assert.ok(share(many.map(isReturning)) < 0.02);
});

/** So many that shares of them are the same by a percent or two whatever their marks are. */
const MAX = 1000;
/** More than are remembered whoever asks. */
const MANY = 10_000;

test('a cache that has room remembers everybody', () => {
  const cache = new ReturningCache<number>({ max: MAX });
  const some = owners(MAX);
  for (const [n, owner] of some.entries()) cache.set(owner, n);
  assert.deepEqual(
    some.map((owner) => cache.get(owner)),
    [...some.keys()],
  );
});

test('a full cache takes in who comes again, and is not emptied by those who come once', () => {
  const cache = new ReturningCache<string>({ max: MAX });
  const regulars = owners(MAX);
  for (const owner of regulars) cache.set(owner, owner);
  const [guest = '', ...others] = owners(MANY);
  cache.set(guest, 'first time');
  assert.equal(cache.get(guest), 'first time', 'remembered for a moment');
  for (const other of others.slice(0, MAX)) cache.set(other, other);
  assert.equal(cache.get(guest), undefined);
  assert.ok(regulars.every((owner) => cache.get(owner) === owner));
  for (const owner of regulars) cache.set(owner, 'anew');
  assert.ok(regulars.every((owner) => cache.get(owner) === 'anew'));

  // Six in ten are taken for somebody new: another's mark stands in their place.
  const back = others.slice(0, MAX);
  for (const owner of back) cache.set(owner, owner);
  for (const other of others.slice(MAX)) cache.set(other, other);
  assert.ok(share(back.map((owner) => cache.get(owner) === owner)) > 0.25);
});

test('a value is found under its own key alone, also where two keys have one mark', () => {
  const keys = Array.from({ length: 200_000 }, (_, n) => hash('sha256', `${n}`, 'base64'));
  const cache = new ReturningCache<string>({ max: keys.length });
  for (const key of keys) cache.set(key, key);
  const found = keys.filter((key) => cache.get(key) !== undefined);
  const pushedOut = keys.find((key) => cache.get(key) === undefined);
  assert.ok(pushedOut, 'no two of these keys have one mark');
  cache.delete(pushedOut);
  assert.deepEqual(keys.map((key) => cache.get(key)).filter(Boolean), found);

  const [one, other] = ['a', 'b'].map((first) => first + 'x'.repeat(1000)) as [string, string];
  cache.set(one, one);
  assert.equal(cache.get(other), undefined);
  cache.set(other, other);
  assert.equal(cache.get(one), undefined);
});

test('what is deleted, cleared or over is in neither part of a cache', () => {
  let now = 1;
  const cache = new ReturningCache<string>({ max: MAX, ttl: 1000, perf: { now: () => now } });
  const fill = () => {
    const [kept = '', ...more] = owners(MAX + 1);
    for (const owner of [kept, ...more]) cache.set(owner, owner);
    return [kept, more.at(-1) ?? ''] as const;
  };
  for (const forget of [
    (owner: string) => cache.delete(owner),
    () => cache.clear(),
    () => {
      now += 1001;
    },
  ]) {
    const both = fill();
    assert.deepEqual(
      both.map((owner) => cache.get(owner)),
      both,
    );
    for (const owner of both) forget(owner);
    assert.deepEqual(
      both.map((owner) => cache.get(owner)),
      [undefined, undefined],
    );
    cache.clear();
  }
});

test('a value that was set anew is not found again when its key is pushed out', () => {
  const cache = new ReturningCache<string>({ max: 1 });
  cache.set('a', 'a');
  cache.set('b', 'first');
  cache.set('b', 'second');
  assert.equal(cache.get('b'), 'second');
  cache.set('a', 'again');
  assert.equal(cache.get('a'), 'again');
  assert.equal(cache.get('b'), undefined);
});

/** A value that can be counted in memory: made by a function of its own, whose frame does not hold it any more. */
class Value {}
const setValue = (cache: ReturningCache<Value>, key: string) => cache.set(key, new Value());
const valuesInMemory = () => queryObjects(Value, { format: 'count' });

test('a full cache has no more values in memory than it may and 64, and none of those whose time is over once it was purged', () => {
  let now = 1;
  const cache = new ReturningCache<Value>({ max: MAX, ttl: 1000, perf: { now: () => now } });
  const some = owners(2 * MAX);
  for (let round = 0; round < 3; round++) for (const owner of some) setValue(cache, owner);
  assert.equal(valuesInMemory(), MAX + 64);
  const isThere = some.slice(-64).every((owner) => cache.get(owner) instanceof Value);
  assert.ok(isThere, 'those of just now');
  now += 1001;
  assert.equal(valuesInMemory(), MAX + 64);
  cache.purgeStale();
  assert.equal(valuesInMemory(), 0);
});

test('what is set or deleted after its time leaves nothing of before', () => {
  let now = 1;
  const cache = new ReturningCache<Value>({ max: 1, ttl: 1000, perf: { now: () => now } });
  setValue(cache, 'a');
  setValue(cache, 'b');
  now += 1001;
  for (const key of ['a', 'b']) cache.delete(key);
  assert.equal(valuesInMemory(), 0);

  setValue(cache, 'a');
  now += 1001;
  // In one place with the mark of "a", which is not noticed again then.
  setValue(cache, atThePlaceOf('a'));
  setValue(cache, 'a');
  assert.equal(valuesInMemory(), 2);
  cache.purgeStale();
  assert.equal(valuesInMemory(), 2);
});

/** A key whose mark takes the place of that one's in a table of two. */
function atThePlaceOf(key: string): string {
  for (let n = 0; ; n++) {
    const isReturning = createReturning(1);
    isReturning(key);
    isReturning(`${n}`);
    if (!isReturning(key)) return `${n}`;
  }
}

test('a clock that is set back gives nothing more time', () => {
  let now = 5000;
  const cache = new ReturningCache<string>({ max: 1, ttl: 1000, perf: { now: () => now } });
  cache.set('a', 'kept');
  cache.set('b', 'of just now');
  now += 600;
  assert.ok(cache.get('a') && cache.get('b'));
  now -= 4000;
  assert.ok(cache.get('a') && cache.get('b'));
  now += 400;
  assert.ok(cache.get('a') && cache.get('b'));
  now += 1;
  assert.deepEqual([cache.get('a'), cache.get('b')], [undefined, undefined]);
});

test("people of one site whose names differ in front alone do not take each other's place", () => {
  const cache = new ReturningCache<number>({ max: MAX });
  const subjects = owners(MAX).map((id) => JSON.stringify(['iam', `uid=${id},`.padEnd(255, 'ou=Physics,')]));
  for (const [n, subject] of subjects.entries()) cache.set(subject, n);
  assert.deepEqual(
    subjects.map((subject) => cache.get(subject)),
    [...subjects.keys()],
  );
});
