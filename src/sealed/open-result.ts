import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Decrypter } from 'age-encryption';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import type { AgeKey } from '../sealing/hybrid-age.ts';

/** The bytes as they come; it ends in an error when they were others than was signed. @param name of the file, for the message */
export function checkedBytes(content: Readable, sha256: string, name: string): Readable {
  return Readable.from(
    (async function* () {
      const hash = createHash('sha256');
      for await (const chunk of content as AsyncIterable<Buffer>) {
        hash.update(chunk);
        yield chunk;
      }
      if (hash.digest('hex') !== sha256) throw new SealedRefusal('result-other', name);
    })(),
    { objectMode: false },
  );
}

/** The same, with nothing given before all of it was checked: for a reader who sees what comes. */
export async function checkedWhole(content: Readable, sha256: string, name: string): Promise<Readable> {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-'));
  const path = join(folder, 'result');
  try {
    await pipeline(checkedBytes(content, sha256, name), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    const checked = createReadStream(path);
    await once(checked, 'open');
    return checked;
  } finally {
    // What is open can still be read.
    await rm(folder, { recursive: true });
  }
}

/** Opens what was sealed to the user. @throws {SealedRefusal} `result-unreadable`, of a stream when it is read */
export function openedStream(content: Readable, identity: AgeKey['identity'], name: string): Readable {
  return Readable.from(
    (async function* () {
      let failed: unknown;
      content.once('error', (error) => {
        failed = error;
      });
      try {
        const sealed = Readable.toWeb(content) as ReadableStream<Uint8Array>;
        const opened = await decrypterOf(identity).decrypt(
          sealed as Parameters<Decrypter['decrypt']>[0] & ReadableStream,
        );
        yield* Readable.fromWeb(opened as unknown as ReadableStream) as AsyncIterable<Uint8Array>;
      } catch {
        throw failed ?? new SealedRefusal('result-unreadable', name);
      }
    })(),
    { objectMode: false },
  );
}

/** The same of a few bytes. */
export async function openedBytes(sealed: Uint8Array, identity: AgeKey['identity'], name: string): Promise<Buffer> {
  try {
    return Buffer.from(await decrypterOf(identity).decrypt(sealed));
  } catch {
    throw new SealedRefusal('result-unreadable', name);
  }
}

function decrypterOf(identity: AgeKey['identity']): Decrypter {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return decrypter;
}
