import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFullDisk } from '../protocol/full-disk.ts';
import type { Reserve } from '../store/reserve.ts';

/**
 * Notes where people reach the server of an installation: its public URL, or the address that it listens on. Commands that run in another environment than
 * the server know neither, and links begin with it. A server starts on a full disk too, with the room of `reserve`.
 */
export async function noteAddress(data: string, url: string, reserve: Reserve): Promise<void> {
  if ((await lastAddress(data)) === url) return;
  try {
    await writeFile(fileIn(data), `${url}\n`, { mode: 0o600 });
  } catch (error) {
    if (!isFullDisk(error) || !reserve.giveUp()) throw error;
    await noteAddress(data, url, reserve);
  }
}

/** Where the server of an installation was reached last, as an origin; undefined before its first start. */
export async function lastAddress(data: string): Promise<string | undefined> {
  return await readFile(fileIn(data), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

function fileIn(data: string): string {
  return join(data, 'address');
}
