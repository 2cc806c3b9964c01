import { readFile } from 'node:fs/promises';
import { Misconfigured } from '../protocol/errors.ts';
import { type JoinToken, parseJoinToken } from '../protocol/join.ts';

/**
 * Reads the pilot's join token. A file stays where it is: after the pilot has joined, what it holds is of no use to anybody.
 *
 * @param file a path, or `-` for standard input; never the token itself
 * @throws {Misconfigured} when there is none; the message does not quote what was read
 */
export async function readJoinToken(file: string, input: AsyncIterable<Buffer> = process.stdin): Promise<JoinToken> {
  const text = (file === '-' ? await readAll(input) : await readTokenFile(file)).trim();
  const source = file === '-' ? 'standard input' : `"${file}"`;
  if (text === '') throw new Misconfigured(`${source} has no token; "panda-secrets pilot-token" makes one`);
  try {
    return parseJoinToken(text);
  } catch {
    throw new Misconfigured(`${source} does not hold a join token: "panda-secrets pilot-token --queue Q" prints one`);
  }
}

async function readAll(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Misconfigured(`the token file "${file}" cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
