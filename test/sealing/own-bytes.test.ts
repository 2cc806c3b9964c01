import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importDataKey, newDataKey } from '../../src/sealing/data-key.ts';
import { ownBytes } from '../../src/sealing/own-bytes.ts';
import { openText, sealText } from '../../src/sealing/remembered-text.ts';

const memoryOf = ({ buffer }: Uint8Array) => buffer.byteLength;

test('what is remembered of an owner keeps no more memory than its own bytes', () => {
  const dataKey = importDataKey({ id: 'key', ownerId: 'owner', bytes: newDataKey() });
  const place = { revision: 1, use: 'shown' };
  const sealed = sealText(dataKey, place, Buffer.from('a text'));
  assert.equal(memoryOf(dataKey.context), dataKey.context.length);
  assert.equal(memoryOf(sealed), sealed.length);
  assert.equal(openText(dataKey, place, sealed)?.toString(), 'a text');
});

test('bytes that are all of their memory are not copied, others are', () => {
  const whole = new Uint8Array([1, 2, 3]);
  assert.equal(ownBytes(whole), whole);
  const part = ownBytes(whole.subarray(1));
  assert.deepEqual([...part], [2, 3]);
  assert.equal(memoryOf(part), 2);
});
