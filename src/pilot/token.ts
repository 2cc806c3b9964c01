import { readFile } from 'node:fs/promises';
import { decodeJwt } from 'jose';
import { Misconfigured } from '../protocol/errors.ts';

export interface PilotToken {
  /** For the `Authorization` header. */
  text: string;
  /** Its `sub`: the pilot as the server knows it, to which deliveries are bound. */
  pilotId: string;
}

/**
 * Reads the pilot's token.
 *
 * @param file a path, or `-` for standard input; never the token itself
 * @throws {Misconfigured} when there is none; the message does not quote what was read
 */
export async function readToken(file: string, input: AsyncIterable<Buffer> = process.stdin): Promise<PilotToken> {
  const text = (file === '-' ? await readAll(input) : await readTokenFile(file)).trim();
  const source = file === '-' ? 'standard input' : `"${file}"`;
  if (text === '') throw new Misconfigured(`${source} has no token; "panda-secrets pilot-token" makes one`);
  const pilotId = subjectOf(text);
  if (pilotId === undefined) {
    throw new Misconfigured(`what ${source} holds is not a pilot's token (a JWT with a subject)`);
  }
  return { text, pilotId };
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

function subjectOf(token: string): string | undefined {
  try {
    return decodeJwt(token).sub;
  } catch {
    return undefined;
  }
}
