import { createReadStream } from 'node:fs';
import { InvalidValue } from '../protocol/errors.ts';
import { MAX_VALUE_BYTES } from '../protocol/limits.ts';

/** Largest file in bytes that is a secret: the limit on a value counts the base64 of the file. */
const MAX_SECRET_FILE_BYTES = Math.floor(MAX_VALUE_BYTES / 4) * 3;

/**
 * The value of a file secret: the base64 of the file's bytes.
 *
 * @throws {InvalidValue} when the file cannot be read, is not a regular file or a pipe, or is larger than `MAX_SECRET_FILE_BYTES`
 */
export async function readSecretFile(path: string): Promise<string> {
  let content: Buffer;
  try {
    content = await readAtMost(path, MAX_SECRET_FILE_BYTES + 1);
  } catch (error) {
    throw new InvalidValue(`cannot read ${path}: ${reasonOf(error as NodeJS.ErrnoException)}`);
  }
  if (content.length > MAX_SECRET_FILE_BYTES) {
    throw new InvalidValue(
      `${path} is too large: a file secret may have at most ${MAX_SECRET_FILE_BYTES} bytes (${MAX_VALUE_BYTES} in base64). ` +
        'Keep larger data elsewhere and make its key the secret',
    );
  }
  return content.toString('base64');
}

/** The file whole, or its first `most` bytes. */
async function readAtMost(path: string, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { end: most - 1 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'you may not read it',
  EISDIR: 'it is a directory; pack it first, for example with tar',
};

function reasonOf({ code = 'unknown reason' }: NodeJS.ErrnoException): string {
  return REASONS[code] ?? code;
}
