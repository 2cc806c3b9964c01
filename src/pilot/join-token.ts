import { constants } from 'node:fs';
import { lstat, open, readdir, readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';
import { type JoinToken, parseJoinToken } from '../protocol/join.ts';
import { pause } from './retry.ts';

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
  return parseToken(text, source);
}

function parseToken(text: string, source: string): JoinToken {
  try {
    return parseJoinToken(text);
  } catch {
    throw new Misconfigured(`${source} does not hold a join token: "panda-secrets pilot-token --queue Q" prints one`);
  }
}

/** The time between two looks for the file. */
const LOOK_SECONDS = 0.5;
/** The name of a file that a launcher hands over (`launcher/slurm-script.ts`), and its age when nobody will claim it any more. */
const HANDED_TOKEN = /^panda-pilot-token-[0-9a-f]{16}$/;
const STALE_SECONDS = 3600;
/** Longer than any join token. */
const MAX_TOKEN_BYTES = 1024;

/**
 * Waits for the file with the pilot's join token, which a launcher hands over once the pilot runs, and claims it: of several pilots that
 * wait for one file, one has it. A file that another user made, or can read, is not it.
 *
 * @returns undefined when told to stop meanwhile
 * @throws {Misconfigured} when none was there for so long, or it holds something else
 */
export async function claimJoinToken(
  file: string,
  { forSeconds, stopping }: { forSeconds: number; stopping: AbortSignal },
): Promise<JoinToken | undefined> {
  const giveUpAt = performance.now() + forSeconds * 1000;
  let foreign = '';
  while (!stopping.aborted) {
    const found = await readWholeFile(file);
    if (typeof found === 'object') foreign = found.foreign;
    else if (found !== undefined && (await isOursToTake(file))) {
      await removeStaleTokens(dirname(file));
      return parseToken(found, `"${file}"`);
    }
    if (performance.now() > giveUpAt) {
      throw new Misconfigured(
        `no join token was handed over within ${forSeconds} seconds: "${file}" ${foreign || 'is not there'}`,
      );
    }
    await pause(LOOK_SECONDS, stopping);
  }
  return undefined;
}

/** Its text once the line is whole; undefined before. */
async function readWholeFile(path: string): Promise<string | { foreign: string } | undefined> {
  // A pipe or a device that somebody put there must not hold the pilot up.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : { foreign: `cannot be read (${code})` };
  }
  try {
    const found = await file.stat();
    const { mode, uid } = found;
    if (!found.isFile() || found.size > MAX_TOKEN_BYTES) return { foreign: 'is not a file with a token' };
    if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) {
      return { foreign: `is another user's, or others can read it (uid ${uid}, mode ${(mode & 0o777).toString(8)})` };
    }
    const text = await file.readFile('utf8');
    return text.endsWith('\n') ? text.trim() : undefined;
  } finally {
    await file.close();
  }
}

/** Removes tokens of this user that no pilot came to claim: they ended long ago, and lie in the node's memory. */
async function removeStaleTokens(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!HANDED_TOKEN.test(name)) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    const isStale =
      found?.isFile() && found.uid === process.geteuid?.() && found.mtimeMs < Date.now() - STALE_SECONDS * 1000;
    if (isStale) await unlink(path).catch(() => {});
  }
}

/** Takes the file away. False when another pilot did. */
async function isOursToTake(path: string): Promise<boolean> {
  return unlink(path).then(
    () => true,
    () => false,
  );
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
