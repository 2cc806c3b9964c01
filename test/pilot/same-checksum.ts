import assert from 'node:assert/strict';
import { constants, crc32, gunzipSync, gzipSync } from 'node:zlib';

/** The flag of a name in the header of a gzip file, and the place of the flags (RFC 1952). */
const FNAME = 8;
const FLAGS_AT = 3;
const HEADER_BYTES = 10;
const FREE_BYTES = 4;

/**
 * Puts another text into a .tar.gz: the file has as many bytes as before and the same CRC-32, which is no proof against intent.
 *
 * @param replaced stands there now, and is at least as long
 * @param free text without meaning, from which four bytes are taken; the rest is emptied
 */
export function withSameChecksum(archive: Buffer, replaced: string, other: string, free: string): Buffer {
  const content = gunzipSync(archive);
  const wanted = crc32(content);
  content.write(other.padEnd(replaced.length), content.indexOf(replaced), 'latin1');
  const at = content.indexOf(free);
  content.fill('x', at, at + free.length);
  solve(content, at, wanted);
  const packed = gzipSync(content, { level: constants.Z_BEST_COMPRESSION });
  const missing = archive.length - packed.length;
  assert.ok(missing > 0, 'there is room for a name');
  packed[FLAGS_AT] = FNAME;
  const name = Buffer.from(`${'x'.repeat(missing - 1)}\0`);
  return Buffer.concat([packed.subarray(0, HEADER_BYTES), name, packed.subarray(HEADER_BYTES)]);
}

/** Sets four bytes so that the whole has a CRC-32: each of their bits changes it in a way of its own, whatever the others are. */
function solve(content: Buffer, at: number, wanted: number): void {
  const free = content.subarray(at, at + FREE_BYTES).fill(0);
  const from = crc32(content);
  // Gauss: for each bit of the checksum one combination of free bits that changes no higher one.
  const rows = new Map<number, { change: number; bits: number }>();
  const reduce = ({ change, bits }: { change: number; bits: number }) => {
    for (let top = 31; top >= 0; top--) {
      const row = rows.get(top);
      if (!row || ((change >>> top) & 1) === 0) continue;
      change ^= row.change;
      bits ^= row.bits;
    }
    return { change: change >>> 0, bits: bits >>> 0 };
  };
  for (let bit = 0; bit < 32; bit++) {
    free.writeUInt32LE((1 << bit) >>> 0);
    const row = reduce({ change: (crc32(content) ^ from) >>> 0, bits: (1 << bit) >>> 0 });
    rows.set(31 - Math.clz32(row.change), row);
  }
  free.writeUInt32LE(reduce({ change: (from ^ wanted) >>> 0, bits: 0 }).bits);
}
