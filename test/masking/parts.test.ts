import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasLineEnd, takeApart } from '../../src/masking/parts.ts';
import { MAX_PARTS_OF_SECRET } from '../../src/protocol/limits.ts';
import { isMaskable, maskableParts } from './maskable.ts';

interface Labelled {
  what: string;
  /** Lines where there are several. */
  value: string | string[];
  hidden: string[];
  visible: string[];
}

const VALUES = join(import.meta.dirname, '../vectors/masking/parts/values.json');

for (const { what, value, hidden, visible } of JSON.parse(readFileSync(VALUES, 'utf8')) as Labelled[]) {
  test(`of ${what}, what is secret is hidden and the rest stays readable`, () => {
    const text = typeof value === 'string' ? value : value.join('\n');
    const parts = maskableParts(text).filter((part) => typeof part === 'string');
    assert.ok(parts.includes(text));
    for (const secret of hidden) assert.ok(parts.includes(secret), `is not hidden: ${secret}`);
    const inside = parts.filter((part) => part !== text && part !== text.trim() && !hasLineEnd(part));
    for (const harmless of visible) {
      assert.deepEqual(
        inside.filter((part) => harmless.includes(part)),
        [],
        `takes from ${harmless}`,
      );
    }
  });
}

test('a value of six characters can be masked, a shorter one cannot', () => {
  assert.equal(isMaskable('abcdef'), true);
  assert.equal(isMaskable('abcde'), false);
  assert.equal(isMaskable(''), false);
  assert.equal(isMaskable('🔑🔑🔑'), false, 'a character outside the basic plane counts once');
});

test('what a log is full of cannot be masked', () => {
  for (const value of ['[true, null]', '{ "" : {} }', '        ', '----------', '**********']) {
    assert.equal(isMaskable(value), false, value);
  }
  assert.equal(isMaskable('!@#$%^&*'), true);
  assert.equal(isMaskable('"aaaaaa"'), true);
});

test('a value of lines can be masked when one of them is a secret by itself', () => {
  assert.equal(isMaskable('abc\ndef\r\nghi'), false);
  assert.equal(isMaskable('some words\nand more of them\n'), false);
  assert.equal(isMaskable('some words\nhunter2hunter2\n'), true);
  assert.equal(isMaskable('one line of words\n'), true);
});

test('of a value that is masked as a whole nothing inside is hidden', () => {
  const value = '{"password": "tomatoes", "token": "aZ3kQ9xW7vL2mN8pR4tY6uB1"}\n';
  assert.deepEqual(maskableParts(value, 'whole'), [value, value.trim()]);
});

test('the bytes that a key in base64 or hex stands for are hidden, and no bytes by chance', () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, at) => (at * 41 + 200) & 0xff));
  const bytesOf = (value: string) => maskableParts(value).filter((part) => typeof part !== 'string');
  assert.deepEqual(bytesOf(key.toString('base64')).map(Buffer.from), [key]);
  assert.deepEqual(bytesOf(key.toString('hex')).map(Buffer.from), [key]);
  assert.deepEqual(bytesOf('authorization'), []);
});

test('fields are told apart by name, with the reason', () => {
  const { hidden, visible, isCut } = takeApart(
    JSON.stringify({
      user: 'alice',
      pass: 'tomatoes',
      x: 'q7#Lm2',
      id: '0123456789abcdef0',
      auth: 'YWxpY2U6enVjY2hpbmk=',
    }),
  );
  const reasons = hidden.filter(({ as }) => as !== 'whole').map(({ name, as }) => `${name}: ${as}`);
  for (const reason of ['pass: named', 'x: unknown', 'id: random', 'auth: named', 'auth: decoded']) {
    assert.ok(reasons.includes(reason), reason);
  }
  assert.deepEqual([visible, isCut], [['user'], false]);
});

test('the name of a field that stays visible never holds a part that is hidden', () => {
  for (const value of ['user=alice password=to matoes host=x', 'alice:to:ma:toes', 'abc=def12', '"a b" = c d7']) {
    const { hidden, visible } = takeApart(value);
    const inside = hidden.filter(({ as }) => as !== 'whole').map(({ part }) => String(part));
    for (const name of visible)
      assert.ok(name === '' || !inside.some((part) => part.includes(name)), `${value}: ${name}`);
  }
});

test('a value nested deeper than any stack is taken apart', () => {
  const depth = 200_000;
  assert.ok(maskableParts(`${'['.repeat(depth)}"a string of 7"${']'.repeat(depth)}`).includes('a string of 7'));
});

test('a value with more inside than is taken apart is said to have it', () => {
  const many = Array.from({ length: MAX_PARTS_OF_SECRET + 1 }, (_, at) => `password${at}x`);
  assert.equal(takeApart(JSON.stringify({ passwords: many })).isCut, true);
  let deep = 'tomatoes and more';
  for (let layer = 0; layer < 20; layer++) deep = Buffer.from(deep).toString('base64');
  assert.equal(takeApart(deep).isCut, true);
});

test('no value takes long, whatever it repeats', () => {
  for (const sign of [
    '\n',
    ' ',
    '- ',
    'a: ',
    '\\n',
    'a=',
    ';a=',
    '{',
    '<a>',
    '%41',
    '"',
    '://a',
    'a@',
    '-u a:',
    'mysql -',
    ',a://',
    'authorization: a ',
    'a b\n',
    '=>',
  ]) {
    const begun = process.cpuUsage();
    takeApart(sign.repeat(100_000 / sign.length));
    const { user } = process.cpuUsage(begun);
    assert.ok(user < 5_000_000, `${JSON.stringify(sign)}: ${user} µs`);
  }
});
