import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** A file's size in bytes and the digest (as `digestOf` writes it) by which its upload is signed: one reading for both. */
export async function measureFile(path: string): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path)) {
    size += chunk.length;
    hash.update(chunk);
  }
  return { size, sha256: hash.digest('base64url') };
}
