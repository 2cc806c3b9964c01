import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expiringSecrets } from '../../src/protocol/expiring-secrets.ts';
import { expiresSoon, isExpired, parseExpiry, typedExpiry } from '../../src/protocol/expiry.ts';

const NOW = Date.UTC(2030, 0, 1, 12, 0, 0, 999);

test('an end is a time to the second, a date until its last second, or never', () => {
  const read: [word: string, kept: string | null][] = [
    ['2031-02-28', '2031-02-28T23:59:59Z'],
    ['2031-02-28T12:00:00Z', '2031-02-28T12:00:00Z'],
    ['2031-02-28T12:00:00.123Z', '2031-02-28T12:00:00Z'],
    ['2031-02-28 12:00Z', '2031-02-28T12:00:00Z'],
    ['9999-12-31', '9999-12-31T23:59:59Z'],
    ['never', null],
  ];
  for (const [word, kept] of read) assert.equal(parseExpiry(word), kept, word);
});

test('anything else is refused, a time without its zone too', () => {
  for (const word of [
    '',
    '30d',
    '2031-02-30',
    '2031-13-01',
    '2031-02-28T12:00:00',
    '2031-02-28T12:00:00+01:00',
    '2031-02-28T25:00:00Z',
    '2031-02-28T23:59:60Z',
    '31.1.2031',
    '12031-01-01',
    'Never',
    '2031-02-28Z',
  ]) {
    assert.throws(() => parseExpiry(word), { code: 'ERR_INVALID_ARGUMENT', message: /^expires: must be a date/ }, word);
  }
});

test('people may type how long from now on, with its unit', () => {
  assert.equal(typedExpiry('30d', NOW), '2030-01-31T12:00:00Z');
  assert.equal(typedExpiry('90s', NOW), '2030-01-01T12:01:30Z');
  assert.equal(typedExpiry('2031-02-28', NOW), '2031-02-28T23:59:59Z');
  assert.equal(typedExpiry('never', NOW), 'never');
  for (const word of ['30', '2031', '-1d', '0d', '30w', '1.5d', '', '999999999d']) {
    assert.throws(() => typedExpiry(word, NOW), { code: 'ERR_INVALID_ARGUMENT' }, word);
  }
});

test('what cannot be read as an end has come', () => {
  assert.equal(isExpired(null, NOW), false);
  assert.equal(isExpired('2030-01-01T12:00:01Z', NOW), false);
  for (const end of ['2030-01-01T12:00:00Z', '', 'x', '2030-99-01T00:00:00Z']) assert.equal(isExpired(end, NOW), true);
});

test('a pilot is told of those that end within a week, by their places', () => {
  assert.equal(expiresSoon('2030-01-08T12:00:00Z', NOW), true);
  assert.equal(expiresSoon('2030-01-08T12:00:01Z', NOW), false);
  const secrets = [
    { name: 'b', expires: '2030-01-02T00:00:00Z' },
    { name: 'c', expires: null },
    { name: 'a', expires: '2031-01-02T00:00:00Z' },
  ];
  assert.deepEqual(expiringSecrets(secrets, NOW), [{ place: 1, expires: '2030-01-02T00:00:00Z' }]);
});
