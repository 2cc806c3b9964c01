import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { DecryptionFailed, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import type { BlobCipher } from '../store/blob-cipher.ts';

/**
 * Format of a file in a storage that is not this server's:
 *
 *     version   1 byte   FORMAT
 *     salt     32 bytes  random; the file's key is HKDF-SHA256 of the installation's, with it and the context
 *     chunks             of 65536 bytes each, the last one shorter or as long: AES-256-GCM and its tag of 16 bytes
 *
 * A chunk's nonce is its number (11 bytes) and a byte that is 1 for the last one, as in age's STREAM: none can be moved, left out or cut off.
 */
const FORMAT = 1;
const SALT_BYTES = 32;
const HEAD_BYTES = 1 + SALT_BYTES;
const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
const KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const OPTIONS = { authTagLength: TAG_BYTES };

/** A name is a synthetic IV, the first 16 bytes of an HMAC of the address, and the address encrypted with it (AES-256-CTR): SIV, RFC 5297. */
const IV_BYTES = 16;
const NAME = /^[0-9a-f]{96}$/;

const WHAT = 'a file in the storage';

/** @param keys 32 bytes each, of one use: for contents, for the IVs of names, for names */
export function createBlobCipher(keys: { content: KeyObject; ivs: KeyObject; names: KeyObject }): BlobCipher {
  const ivOf = (address: Buffer) => createHmac('sha256', keys.ivs).update(address).digest().subarray(0, IV_BYTES);
  const keyOf = (salt: Uint8Array, context: string) =>
    new Uint8Array(
      hkdfSync('sha256', keys.content, salt, lengthPrefixed('panda-secrets stored file 1', context), KEY_BYTES),
    );

  return {
    nameOf(sha256) {
      const address = Buffer.from(sha256, 'hex');
      const iv = ivOf(address);
      const cipher = createCipheriv('aes-256-ctr', keys.names, iv);
      return Buffer.concat([iv, cipher.update(address), cipher.final()]).toString('hex');
    },

    addressOf(name) {
      if (!NAME.test(name)) return undefined;
      const bytes = Buffer.from(name, 'hex');
      const iv = bytes.subarray(0, IV_BYTES);
      const address = createDecipheriv('aes-256-ctr', keys.names, iv).update(bytes.subarray(IV_BYTES));
      return timingSafeEqual(ivOf(address), iv) ? address.toString('hex') : undefined;
    },

    async *seal(context, content) {
      const salt = randomBytes(SALT_BYTES);
      const key = keyOf(salt, context);
      yield Buffer.concat([Uint8Array.of(FORMAT), salt]);
      for await (const { chunk, number, isLast } of chunksOf(content, CHUNK_BYTES)) {
        const cipher = createCipheriv(CIPHER, key, nonceOf(number, isLast), OPTIONS);
        yield Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
      }
    },

    async *open(context, sealed) {
      const { head, rest } = await withoutHead(sealed);
      if (head.length > 0 && head[0] !== FORMAT)
        throw new UnknownFormat(`${WHAT} has format ${head[0]}; this release knows format ${FORMAT}: update it`);
      if (head.length < HEAD_BYTES) throw new DecryptionFailed(`${WHAT} does not open: it is cut short`);
      const key = keyOf(head.subarray(1), context);
      for await (const { chunk, number, isLast } of chunksOf(rest, SEALED_CHUNK_BYTES)) {
        if (chunk.length < TAG_BYTES) throw new DecryptionFailed(`${WHAT} does not open: it is cut short`);
        const decipher = createDecipheriv(CIPHER, key, nonceOf(number, isLast), OPTIONS);
        decipher.setAuthTag(chunk.subarray(chunk.length - TAG_BYTES));
        const plain = decipher.update(chunk.subarray(0, chunk.length - TAG_BYTES));
        try {
          decipher.final();
        } catch {
          throw new DecryptionFailed(`${WHAT} does not open: it was changed, cut, moved, or sealed to another key`);
        }
        yield plain;
      }
    },

    sealedSize: (size) => HEAD_BYTES + size + TAG_BYTES * Math.max(1, Math.ceil(size / CHUNK_BYTES)),
    plainSize: (sealedSize) => {
      const body = Math.max(0, sealedSize - HEAD_BYTES);
      return Math.max(0, body - TAG_BYTES * Math.ceil(body / SEALED_CHUNK_BYTES));
    },
  };
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Chunks of `size` bytes; the last one, which there always is, has what is left. */
async function* chunksOf(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ chunk: Buffer; number: number; isLast: boolean }> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 0;
  for await (const part of content) {
    parts.push(part);
    length += part.length;
    if (length <= size) continue;
    // A byte more than a chunk: it was not the last one.
    let all = Buffer.concat(parts, length);
    while (all.length > size) {
      yield { chunk: all.subarray(0, size), number, isLast: false };
      number += 1;
      all = all.subarray(size);
    }
    parts = [all];
    length = all.length;
  }
  yield { chunk: Buffer.concat(parts, length), number, isLast: true };
}

async function withoutHead(
  sealed: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ head: Buffer; rest: AsyncGenerator<Uint8Array> }> {
  const source = iteratorOf(sealed);
  let read = Buffer.alloc(0);
  while (read.length < HEAD_BYTES) {
    const { value, done } = await source.next();
    if (done) break;
    read = Buffer.concat([read, value]);
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      yield read.subarray(HEAD_BYTES);
      for (;;) {
        const { value, done } = await source.next();
        if (done) return;
        yield value;
      }
    } finally {
      await source.return?.(undefined);
    }
  }
  return { head: read.subarray(0, HEAD_BYTES), rest: rest() };
}

function iteratorOf(
  sealed: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in sealed ? sealed[Symbol.asyncIterator]() : sealed[Symbol.iterator]();
}
