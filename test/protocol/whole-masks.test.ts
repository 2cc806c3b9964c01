import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maskChoices, wholeMasks } from '../../src/protocol/whole-masks.ts';

test('a pilot learns by places which secrets are masked as a whole, in whatever order it finds the names', () => {
  const secrets = ['b', '10', 'é', '2', 'B', '___file___:k'].map((name) => ({
    name,
    mask: name === 'é' || name === '2' ? 'whole' : null,
  }));
  const whole = wholeMasks(secrets);
  // As JSON.parse orders them: whole numbers first.
  const choices = maskChoices(['2', '10', 'b', 'é', 'B', '___file___:k'], whole);
  assert.deepEqual(
    [...choices]
      .filter(([, choice]) => choice === 'whole')
      .map(([name]) => name)
      .sort(),
    ['2', 'é'],
  );
});

test('a job without such places has all its secrets taken apart', () => {
  assert.deepEqual([...maskChoices(['a', 'b'], undefined).values()], ['parts', 'parts']);
});
