import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Counter, Histogram, Registry } from 'prom-client';
import { addedUp, countsOf, sumOf } from '../../src/metrics/added-up.ts';

async function countsWith(seconds: readonly number[]) {
  const registry = new Registry();
  const counter = new Counter({ name: 'cpu', help: 'CPU', registers: [registry] });
  const histogram = new Histogram({ name: 'latency', help: 'Latency', registers: [registry] });
  for (const value of seconds) {
    counter.inc(value);
    histogram.observe(value);
  }
  return countsOf(registry);
}

/** Each count, by its name and labels. */
async function shown(registry: Pick<Registry, 'metrics'>): Promise<string[]> {
  return (await registry.metrics()).split('\n').sort();
}

const times = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { maxLength: 20 });

test('the sum of several processes is the same to the last bit, whichever is asked and whoever has ended', async () => {
  await fc.assert(
    fc.asyncProperty(times, times, times, async (...workers) => {
      const [a, b, c] = await Promise.all(workers.map(countsWith));
      assert.ok(a && b && c);
      const sums = [
        [a, b, c],
        [c, a, b],
        [b, c, a],
        [c, await sumOf([b, a])],
      ];
      const [first, ...others] = await Promise.all(sums.map((sum) => shown(addedUp(sum))));
      for (const other of others) assert.deepEqual(other, first);
    }),
  );
});
