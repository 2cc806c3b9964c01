import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback } from '../../src/protocol/loopback.ts';

test('this machine is known by each of its names and addresses', () => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.8.8.8', '::1', '[::1]', '::ffff:127.0.0.1']) {
    assert.ok(isLoopback(host), host);
  }
});

test('another machine is not taken for this one, whatever its name begins or ends with', () => {
  const others = ['127.0.0.1.evil.example', 'localhost.evil.example', 'evil.localhost', 'evil.example/127.0.0.1'];
  for (const host of [
    ...others,
    '0.0.0.0',
    '::',
    '::ffff:10.0.0.1',
    '128.0.0.1',
    '127.0.0.1\n10.0.0.1',
    '',
    undefined,
  ]) {
    assert.ok(!isLoopback(host), String(host));
  }
});
