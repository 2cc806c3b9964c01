import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { importInstallationKey } from '../../src/sealing/installation-key.ts';

const { blobs: cipher } = importInstallationKey({ id: 'test', bytes: Buffer.alloc(32, 7) });

async function whole(parts: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

/** The bytes in pieces, as a line brings them. */
function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

test('what is sealed opens, in whatever pieces it comes, and its size is told from the other', async () => {
  const sizes = fc.oneof(fc.nat(200), fc.constantFrom(65_535, 65_536, 65_537, 131_071, 131_072, 200_000));
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 70_000 }), async (size, piece) => {
      const bytes = Buffer.alloc(size, 'a file');
      const sealed = await whole(cipher.seal('here', cut(bytes, Math.max(piece, size / 500))));
      assert.equal(sealed.length, cipher.sealedSize(size));
      assert.equal(cipher.plainSize(sealed.length), size);
      assert.ok((await whole(cipher.open('here', cut(sealed, Math.max(piece, size / 500))))).equals(bytes));
    }),
    { numRuns: 60 },
  );
});

test('what was changed at any place, cut at any place, lengthened, moved or put in another order does not open', async () => {
  const bytes = Buffer.alloc(150_000, 'a file');
  const sealed = await whole(cipher.seal('here', [bytes]));
  const chunk = 65_536 + 16;
  const [head, one, two, rest] = [0, 33, 33 + chunk, 33 + 2 * chunk, sealed.length]
    .slice(1)
    .map((end, n, ends) => sealed.subarray(ends[n - 1] ?? 0, end)) as [Buffer, Buffer, Buffer, Buffer];
  const broken = [
    ...[1, 20, 33, 40_000, 33 + chunk, sealed.length - 1].map((at) => {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      return changed;
    }),
    ...[0, 1, 32, 33, 40, 33 + chunk, 33 + 2 * chunk, sealed.length - 1].map((end) => sealed.subarray(0, end)),
    Buffer.concat([sealed, Buffer.from('x')]),
    Buffer.concat([head, two, one, rest]),
    Buffer.concat([head, one, rest]),
    Buffer.concat([head, one, one, two, rest]),
  ];
  for (const [n, one] of broken.entries())
    await assert.rejects(whole(cipher.open('here', [one])), { code: 'ERR_DECRYPTION_FAILED' }, `${n}`);
  await assert.rejects(whole(cipher.open('there', [sealed])), { code: 'ERR_DECRYPTION_FAILED' });
  const later = Buffer.from(sealed);
  later[0] = 2;
  await assert.rejects(whole(cipher.open('here', [later])), { code: 'ERR_UNKNOWN_FORMAT' });
});

test('a name tells its address to this installation alone', () => {
  const { blobs: another } = importInstallationKey({ id: 'test', bytes: Buffer.alloc(32, 8) });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const address = Buffer.from(bytes).toString('hex');
      const name = cipher.nameOf(address);
      assert.equal(cipher.nameOf(address), name);
      assert.equal(cipher.addressOf(name), address);
      assert.equal(another.addressOf(name), undefined);
      assert.notEqual(another.nameOf(address), name);
    }),
  );
  for (const none of ['', 'installation.json', 'a'.repeat(96), '../x']) assert.equal(cipher.addressOf(none), undefined);
});

test('what an earlier release sealed opens', async () => {
  const file = join(import.meta.dirname, '../vectors/blob-cipher.json');
  const { name, address, context, text, sealed } = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(cipher.nameOf(address), name);
  assert.equal((await whole(cipher.open(context, [Buffer.from(sealed, 'hex')]))).toString(), text);
});
