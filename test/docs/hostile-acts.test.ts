import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');

test('the page of the acts of a hostile server names all of them, each with a test that has its number', () => {
  const page = readFileSync(join(root, 'docs/hostile-acts.md'), 'utf8');
  const rows = page.split('\n').filter((line) => /^\| \d/.test(line));
  assert.deepEqual(
    rows.map((row) => Number(row.split('|')[1])),
    Array.from({ length: 42 }, (_, n) => n + 1),
  );
  for (const row of rows) {
    const [, number = '', , , tests = ''] = row.split('|').map((cell) => cell.trim());
    assert.match(tests, /`/, `act ${number} has a test`);
    for (const [, file = ''] of tests.matchAll(/`([^`]+)`/g)) {
      const names = readFileSync(join(root, file), 'utf8').matchAll(/(?:test\(|what: )\s*['"`]((?:\d+, )*\d+) /g);
      const numbers = [...names].flatMap(([, list = '']) => list.split(', '));
      assert.ok(numbers.includes(number), `${file} has no test of act ${number}`);
    }
  }
});
