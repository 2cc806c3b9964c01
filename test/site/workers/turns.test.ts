import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurns, type Writer } from '../../../src/site/workers/turns.ts';

/** Writers of these names, and what they are told. */
function writers<N extends string>(...names: N[]) {
  const told: string[] = [];
  const of = (name: N): Writer => ({
    grant: (isWanted) => told.push(`${name}${isWanted ? ', others wait' : ''}`),
    want: () => told.push(`${name} is waited for`),
  });
  const all = Object.fromEntries(names.map((name) => [name, of(name)])) as Record<N, Writer>;
  return { ...all, told: () => told.splice(0) };
}

test('a writer has the turn until it gives it back, and hears once that another one waits', () => {
  const turns = createTurns();
  const { a, b, c, told } = writers('a', 'b', 'c');
  turns.ask(a);
  assert.deepEqual(told(), ['a']);
  turns.ask(b);
  turns.ask(c);
  turns.ask(b);
  assert.deepEqual(told(), ['a is waited for']);
  turns.giveBack(b, false);
  assert.deepEqual(told(), [], 'it was not its own');
  turns.giveBack(a, true);
  assert.deepEqual(told(), ['b, others wait']);
  turns.giveBack(b, false);
  turns.giveBack(c, false);
  turns.giveBack(a, false);
  assert.deepEqual(told(), ['c, others wait', 'a']);
  turns.ask(c);
  assert.deepEqual(told(), ['c']);
});

test('a writer that ends loses the turn, and one that waited is passed over', () => {
  const turns = createTurns();
  const { a, b, c, told } = writers('a', 'b', 'c');
  for (const writer of [a, b, c]) turns.ask(writer);
  told();
  turns.forget(b);
  turns.forget(a);
  assert.deepEqual(told(), ['c']);
  turns.forget(c);
  turns.ask(a);
  assert.deepEqual(told(), ['a']);
});
