import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { sandboxChecksum } from '../../src/protocol/sandbox-checksum.ts';

test("the checksum is the CRC-32 of the content, however the file's bytes arrive", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.integer({ min: 0, max: 20 })), (content, sizes) => {
      const file = gzipSync(content);
      const checksum = sandboxChecksum();
      let at = 0;
      for (const size of sizes) {
        checksum.update(file.subarray(at, at + size));
        at += size;
      }
      checksum.update(file.subarray(at));
      assert.equal(checksum.value(), crc32(content));
    }),
  );
});

test('a file of fewer than eight bytes has none', () => {
  const checksum = sandboxChecksum();
  checksum.update(Buffer.from('1234567'));
  assert.equal(checksum.value(), undefined);
});
