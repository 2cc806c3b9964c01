import { open, readFile } from 'node:fs/promises';

const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * An option of a Node that starts one of the programs as one would start that cannot close its memory, before Node 26: root alone could
 * search it otherwise.
 */
export const OPEN_MEMORY =
  "--import=data:text/javascript,Object.defineProperty(process,'allowedNodeEnvironmentFlags',{value:new%20Set()})";

/**
 * Looks for texts in all that a process has in its memory, while it goes on.
 *
 * @returns those that are there
 */
export async function searchMemory(pid: number, texts: readonly Buffer[]): Promise<Set<Buffer>> {
  const overlap = Math.max(...texts.map((text) => text.length)) - 1;
  const found = new Set<Buffer>();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES + overlap);
  await using memory = await open(`/proc/${pid}/mem`, 'r');
  for (const { begin, end } of await regionsOf(pid)) {
    for (let at = begin; at < end; at += CHUNK_BYTES) {
      const wanted = Math.min(end - at, buffer.length);
      // A part may have gone since the list was made.
      const { bytesRead } = await memory.read(buffer, 0, wanted, at).catch(() => ({ bytesRead: 0 }));
      const read = buffer.subarray(0, bytesRead);
      for (const text of texts) if (!found.has(text) && read.includes(text)) found.add(text);
    }
  }
  return found;
}

/** All but what is of files and was never written to. */
async function regionsOf(pid: number): Promise<{ begin: number; end: number }[]> {
  const lines = (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [, begin = '', end = '', mode = '', inode] = /^(\w+)-(\w+) (\S+) \S+ \S+ (\d+)/.exec(line) ?? [];
    if (!mode.startsWith('rw') && !(mode.startsWith('r') && inode === '0')) return [];
    return [{ begin: Number.parseInt(begin, 16), end: Number.parseInt(end, 16) }];
  });
}
