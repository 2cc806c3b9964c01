import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeApart } from '../../src/masking/parts.ts';

/** Texts that an expression, or a parser, once took the square of their length or more to read. */
const LONG: Record<string, (chars: number) => string> = {
  'a row of dots that ends in a letter': (chars) => `${'.'.repeat(chars)}x`,
  'beginnings of PEM blocks without an end': (chars) => '-----BEGIN A-----'.repeat(chars / 17),
  'beginnings of PEM blocks without a whole name': (chars) => `${'-----BEGIN E-'.repeat(chars / 13)}N`,
  'names of settings in one line': (chars) => 'a: '.repeat(chars / 3),
  'headers in one line': (chars) => 'Authorization: a '.repeat(chars / 17),
  'items of a list in one line': (chars) => '- '.repeat(chars / 2),
  'open brackets': (chars) => '["'.repeat(chars / 2),
  'open objects': (chars) => '{"a":'.repeat(chars / 5),
};

for (const [what, make] of Object.entries(LONG)) {
  test(`${what} are taken apart in a time that grows with their length`, () => {
    const text = make(60_000);
    takeApart(make(6000));
    const before = process.cpuUsage();
    takeApart(text);
    const { user, system } = process.cpuUsage(before);
    // The square took ten seconds and more; a machine under load counts the same processor time.
    assert.ok((user + system) / 1e6 < 4, `${(user + system) / 1e6} s`);
  });
}

test('a PEM block goes to the next end of its name', () => {
  const rows = ['MIIEvQIBADANBgkqhkiG9w0B', 'AQEFAASCBKcwggSjAgEAAoIB'];
  const inner = `-----BEGIN B-----\nx\n-----END C-----\n`;
  const text = `before\n-----BEGIN PRIVATE KEY-----\n${rows.join('\n')}\n-----END PRIVATE KEY-----\n${inner}after`;
  const hidden = takeApart(text).hidden.map(({ part }) => part);
  for (const row of [...rows, rows.join('')]) assert.ok(hidden.includes(row), row);
});
