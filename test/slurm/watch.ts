// Looks at the arguments and the environment of every process of the machine, and at files that come and go, again and again, for values
// and join tokens that stand there. Started by a test, which sends what to look for on standard input; answers on standard output when
// that ends.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A join token, with its secret in base64url (`protocol/join.ts`). */
export const JOIN_TOKEN = /join-[0-9a-f]{16}\.[\w-]{43}/;
const LOOK_MILLISECONDS = 20;
/** Files are looked at in one look of so many. */
const FILES_EVERY = 10;

/** All that a watch saw. */
export interface Watched {
  /** Different command lines. */
  commands: number;
  looks: number;
  /** Different files. */
  files: number;
  /** Places where something stood that must not stand there. */
  sightings: { place: string; what: string; program: string }[];
}

if (process.argv[1] === import.meta.filename) watch();

function watch(): void {
  let wanted: { values: string[]; folders: string[] } = { values: [], folders: [] };
  const sightings = new Map<string, Watched['sightings'][number]>();
  const commands = new Set<string>();
  const files = new Set<string>();
  let looks = 0;
  let input = '';
  const timer = setInterval(look, LOOK_MILLISECONDS);
  process.stdin.setEncoding('utf8').on('data', (text: string) => {
    input += text;
    if (input.endsWith('\n')) wanted = JSON.parse(input);
  });
  process.stdin.on('end', () => {
    clearInterval(timer);
    look();
    const seen: Watched = { commands: commands.size, looks, files: files.size, sightings: [...sightings.values()] };
    process.stdout.write(JSON.stringify(seen));
  });

  function look(): void {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
      const cmdline = readIfThere(`/proc/${name}/cmdline`)?.toString('latin1');
      if (cmdline) commands.add(`${name} ${cmdline}`);
      check(`/proc/${name}/cmdline`, cmdline);
      check(`/proc/${name}/environ`, readIfThere(`/proc/${name}/environ`)?.toString('latin1'));
    }
    if (looks++ % FILES_EVERY !== 0) return;
    for (const path of wanted.folders.flatMap(filePaths)) {
      files.add(path);
      check(path, readIfThere(path)?.toString('latin1'));
    }
  }

  function check(place: string, text = ''): void {
    const what = wanted.values.find((value) => text.includes(value)) ?? JOIN_TOKEN.exec(text)?.[0];
    if (what === undefined || sightings.has(place)) return;
    const program = place.startsWith('/proc/') ? `${readIfThere(place.replace(/\w+$/, 'comm'))}` : '';
    sightings.set(place, { place, what, program });
  }
}

/** Files below a folder, some of which may go meanwhile. */
export function filePaths(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

/** Nothing of what is gone, or another user's. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
