import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Encrypter } from 'age-encryption';
import { makeResult, type Result } from '../sealed/result.ts';
import type { Signer } from '../sealed/signed.ts';
import { ageRecipient } from '../sealing/hybrid-age.ts';

/** Some bytes of a log as they are sent. */
export interface SentPart {
  bytes: Uint8Array;
  signature: string;
}

/** A file as it is sent. */
export interface SentFile {
  path: string;
  /** The node's statement on it: who knows the site's record can tell that it is what the job brought back. */
  signature: string;
}

/** The node's word for what a job with a grant brings back. */
export interface Results {
  /** Seals a file where its owner wants that, and signs it. The file at `path` is gone then. */
  prepare(kind: 'log' | 'output', name: string, path: string): Promise<SentFile>;
  /**
   * The same of a part of the log while the job runs.
   *
   * @param name of the log @param seq of the part, from 0: the bytes of one of a number are always the same
   * @param last true of the one with which the log ends
   */
  preparePart(name: string, seq: number, bytes: Uint8Array, last: boolean): Promise<SentPart>;
}

/**
 * @param attempt the grant's nonce, and which attempt at which of its jobs it is
 * @param recipient age's, from the grant; null: results are sent as they are
 */
export function resultsOf(
  signer: Signer,
  attempt: Pick<Result, 'nonce' | 'serial' | 'attempt'>,
  recipient: string | null,
): Results {
  return {
    async prepare(kind, name, path) {
      const sent = recipient === null ? path : await sealFile(path, recipient);
      const sha256 = await digestOf(sent);
      const signature = makeResult(signer, { ...attempt, kind, name, seq: 0, last: true, sha256 });
      return { path: sent, signature };
    },
    async preparePart(name, seq, bytes, last) {
      const sent = recipient === null ? bytes : await (await encrypterFor(recipient)).encrypt(bytes);
      const sha256 = createHash('sha256').update(sent).digest('hex');
      return { bytes: sent, signature: makeResult(signer, { ...attempt, kind: 'live', name, seq, last, sha256 }) };
    },
  };
}

async function encrypterFor(recipient: string): Promise<Encrypter> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(await ageRecipient(recipient));
  return encrypter;
}

async function sealFile(path: string, recipient: string): Promise<string> {
  const sealed = `${path}.age`;
  const encrypter = await encrypterFor(recipient);
  const content = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
  const encrypted = await encrypter.encrypt(content as Parameters<typeof encrypter.encrypt>[0] & ReadableStream);
  await pipeline(
    Readable.fromWeb(encrypted as unknown as ReadableStream),
    createWriteStream(sealed, { flags: 'wx', mode: 0o600 }),
  );
  await rm(path);
  return sealed;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}
