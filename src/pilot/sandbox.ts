import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type ReadEntry, type Unpack } from 'tar';
import { InvalidArgument } from '../protocol/errors.ts';
import { MAX_UNPACKED_BYTES, MAX_UNPACKED_FILES } from '../protocol/limits.ts';

/**
 * Unpacks a sandbox (tar, gzip or not) into an empty directory. A sandbox comes from a user and is not trusted: nothing is
 * written outside `directory`, whatever its paths and links say, and one that tries is refused as a whole.
 *
 * When it fails nothing is written any more: the directory can be removed.
 *
 * @param signal ends it, with an error
 * @throws {InvalidArgument} for a damaged archive, or one without the mark of its end; a path or link that is absolute, has `..` or
 * leads out; anything but files, directories and links; more than `MAX_UNPACKED_BYTES` or `MAX_UNPACKED_FILES`
 */
export async function unpackSandbox(archive: Readable, directory: string, signal?: AbortSignal): Promise<void> {
  let refusal: string | undefined;
  let bytes = 0;
  let files = 0;
  let isComplete = false;
  const taken: ReadEntry[] = [];

  const isWanted = (path: string, entry: ReadEntry): boolean => {
    bytes += entry.size;
    files += 1;
    refusal ??= reasonToRefuse(path, entry);
    if (bytes > MAX_UNPACKED_BYTES) refusal ??= `has more than ${MAX_UNPACKED_BYTES} bytes unpacked`;
    if (files > MAX_UNPACKED_FILES) refusal ??= `has more than ${MAX_UNPACKED_FILES} files`;
    if (refusal !== undefined) return false;
    entry.mode = (entry.mode ?? 0o600) & 0o777;
    taken.push(entry);
    return true;
  };

  const unpacking = extract({
    cwd: directory,
    strict: true,
    keep: true,
    preserveOwner: false,
    filter: (path, entry) => isWanted(path, entry as ReadEntry),
  });
  unpacking.on('eof', () => {
    isComplete = true;
  });
  reserveApart(unpacking);
  try {
    await pipeline(archive, unpacking, signal ? { signal } : {});
  } catch (error) {
    await stopWriting(unpacking, taken);
    if (!isArchiveError(error)) throw error;
    refusal ??= `is damaged: ${(error as Error).message}`;
  }
  // A file that is cut between two blocks is a shorter archive to the reader.
  if (!isComplete) refusal ??= 'ends early';
  if (refusal !== undefined) throw new InvalidArgument(`the sandbox ${refusal}`);
}

/**
 * The unpacker reserves an entry's path with that of its link. A link to the folder that it is in would wait for itself for ever, and
 * all entries after it: such a one is reserved without its target.
 */
function reserveApart({ reservations }: Unpack): void {
  const reserve = reservations.reserve.bind(reservations);
  reservations.reserve = (paths, work) => {
    const [path = '', target] = paths;
    const isNested = target !== undefined && (isInside(path, target) || isInside(target, path));
    return reserve(isNested ? [path] : paths, work);
  };
}

/** As the unpacker compares paths, which is as the file systems that know no case do. */
function isInside(path: string, folder: string): boolean {
  const [inner, outer] = [path, folder].map((one) =>
    posix.join(one).normalize('NFD').toLowerCase().toUpperCase().replace(/\/+$/, ''),
  );
  return inner !== outer && `${inner}/`.startsWith(`${outer}/`);
}

/** Begins no further entry, ends those that are being written, and waits for them: each has its path reserved until then. */
async function stopWriting(unpacking: Unpack, entries: readonly ReadEntry[]): Promise<void> {
  unpacking.on('error', () => {}); // The first error is the one that is told.
  unpacking.removeAllListeners('entry');
  unpacking.abort(new Error('given up'));
  for (const entry of entries) entry.end();
  const written = entries.map(
    ({ path }) =>
      new Promise<void>((resolve) => {
        unpacking.reservations.reserve([path], (release) => {
          release();
          resolve();
        });
      }),
  );
  await Promise.all(written);
}

const KINDS: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile', 'Directory', 'SymbolicLink', 'Link']);

function reasonToRefuse(path: string, entry: ReadEntry): string | undefined {
  const shown = JSON.stringify(path);
  if (!KINDS.has(entry.type)) return `has ${shown}, which is neither a file nor a directory nor a link (${entry.type})`;
  if (leavesDirectory(path)) return `has the path ${shown}, which leaves the working directory`;
  const target = entry.linkpath ?? '';
  if (entry.type === 'Link' && leavesDirectory(target)) return `has ${shown}, a hard link out of the working directory`;
  if (entry.type === 'SymbolicLink' && pointsOut(path, target)) {
    return `has ${shown}, a symbolic link out of the working directory`;
  }
  return undefined;
}

function leavesDirectory(path: string): boolean {
  return posix.isAbsolute(path) || path.split('/').includes('..');
}

/**
 * A target may climb only at its beginning, and not out. Of such links none leads out, even through another: what follows the
 * climb goes down directories, or through links of which the same is true.
 */
function pointsOut(path: string, target: string): boolean {
  if (posix.isAbsolute(target)) return true;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const climb = parts.filter((part) => part === '..').length;
  const depth = posix
    .dirname(posix.normalize(path))
    .split('/')
    .filter((part) => part !== '.').length;
  return climb > depth || parts.slice(0, climb).some((part) => part !== '..');
}

function isArchiveError(error: unknown): boolean {
  const code = (error as { tarCode?: unknown; code?: unknown }).tarCode ?? (error as { code?: unknown }).code;
  return typeof code === 'string' && /^(TAR_|Z_)/.test(code);
}
