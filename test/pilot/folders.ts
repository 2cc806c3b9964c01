import { type Dirent, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { unlessGone } from '../unless-gone.ts';

/** For a machine with much else to do. */
const PATIENCE_SECONDS = 100;

/** A directory that goes with the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'panda-pilot-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** All that is below a folder, but what somebody removes meanwhile. */
export function entriesBelow(folder: string): Dirent[] {
  const entries = unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? [];
  return entries.flatMap((entry) => [entry, ...(entry.isDirectory() ? entriesBelow(join(folder, entry.name)) : [])]);
}

/** Files below the folders of which the name, the content or the target holds `text`, also as base64. */
export function whereIs(text: string, ...folders: string[]): string[] {
  const needles = [text, Buffer.from(text).toString('base64').replace(/=+$/, '')];
  const found = folders.flatMap((folder) =>
    entriesBelow(folder).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      const held = unlessGone(() => {
        if (entry.isFile()) return readFileSync(path, 'latin1');
        return entry.isSymbolicLink() ? readlinkSync(path) : '';
      });
      if (!needles.some((needle) => entry.name.includes(needle) || held?.includes(needle))) return [];
      return unlessGone(() => join(realpathSync(entry.parentPath), entry.name)) ?? [];
    }),
  );
  return [...new Set(found)];
}

/** Looks again and again until what is seen is as wanted; where it never is, the test fails with both and what was seen last. */
export async function until<T>(look: () => T, isWanted: (seen: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const seen = look();
    if (isWanted(seen)) return seen;
    if (performance.now() > giveUpAt) {
      throw new Error(`not within ${PATIENCE_SECONDS} s: ${isWanted} of ${look}; seen last: ${inspect(seen)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
