import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Notes where the server of an installation listens: with `--port 0` nothing else tells it to the administration commands. */
export async function noteAddress(data: string, url: string): Promise<void> {
  await writeFile(fileIn(data), `${url}\n`, { mode: 0o600 });
}

/** Where the server of an installation listened last, as an origin; undefined before its first start. */
export async function lastAddress(data: string): Promise<string | undefined> {
  return await readFile(fileIn(data), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

function fileIn(data: string): string {
  return join(data, 'address');
}
