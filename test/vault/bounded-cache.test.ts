import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBoundedCache } from '../../src/vault/bounded-cache.ts';

const forever = { lifetimeMs: Number.POSITIVE_INFINITY, clock: () => 0 };

test('what was not used for the longest time makes room', () => {
  const cache = createBoundedCache<string, number>({ maxWeight: 2, ...forever });
  cache.set('a', 1);
  cache.set('b', 2);
  assert.equal(cache.get('a'), 1);
  cache.set('c', 3);
  assert.deepEqual(['a', 'b', 'c'].map(cache.get), [1, undefined, 3]);
});

test('heavy values make room for themselves, and what is too heavy is not kept', () => {
  const cache = createBoundedCache<string, number>({ maxWeight: 10, ...forever });
  for (const key of ['a', 'b', 'c', 'd', 'e']) cache.set(key, 1, 2);
  cache.set('f', 6, 6);
  assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'f'].map(cache.get), [undefined, undefined, undefined, 1, 1, 6]);
  cache.set('f', 11, 11);
  assert.equal(cache.get('f'), undefined);
  cache.set('g', 6, 6);
  assert.deepEqual(['d', 'e', 'g'].map(cache.get), [1, 1, 6]);
});

test('a value is let go when its lifetime is over, however often it was used', () => {
  let now = 0;
  const cache = createBoundedCache<string, number>({ maxWeight: 2, lifetimeMs: 100, clock: () => now });
  cache.set('a', 1);
  now = 99;
  assert.equal(cache.get('a'), 1);
  cache.set('b', 2);
  now = 100;
  cache.sweep();
  assert.deepEqual(['a', 'b'].map(cache.get), [undefined, 2]);
  now = 199;
  assert.equal(cache.get('b'), undefined);
});
