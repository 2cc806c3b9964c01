import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMaskable, maskableParts } from '../../src/masking/parts.ts';

test('a value of six characters can be masked, a shorter one cannot', () => {
  assert.equal(isMaskable('abcdef'), true);
  assert.equal(isMaskable('abcde'), false);
  assert.equal(isMaskable(''), false);
  assert.equal(isMaskable('🔑🔑🔑'), false, 'a character outside the basic plane counts once');
});

test('a value whose every line is too short cannot be masked', () => {
  assert.equal(isMaskable('abc\ndef\r\nghi'), false);
  assert.equal(isMaskable('abc\ndefghi\n'), true);
});

test('what a log is full of cannot be masked', () => {
  for (const value of ['[true, null]', '{ "" : {} }', '        ', '----------', '**********']) {
    assert.equal(isMaskable(value), false, value);
  }
  assert.equal(isMaskable('!@#$%^&*'), true);
  assert.equal(isMaskable('"aaaaaa"'), true);
});

test('a value is recognised by its lines without indentation and by the strings of JSON inside it', () => {
  assert.deepEqual(maskableParts('  "first": 1,\n  second line\n').sort(), [
    '  "first": 1,\n  second line\n',
    '"first": 1,',
    '"first": 1,\n  second line',
    'second line',
  ]);
  assert.deepEqual(maskableParts('{"name":"a string","deep":["[\\"deeper\\"]"]}').sort(), [
    '["deeper"]',
    'a string',
    'deeper',
    '{"name":"a string","deep":["[\\"deeper\\"]"]}',
  ]);
});

test('a value nested deeper than any stack is taken apart', () => {
  const depth = 200_000;
  assert.ok(maskableParts(`${'['.repeat(depth)}"a string"${']'.repeat(depth)}`).includes('a string'));
});
