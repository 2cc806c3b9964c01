import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleProgram } from './bundles.ts';
import { PROGRAMS } from './programs.ts';
import { writeServerFiles } from './server-files.ts';

/** The programs as the tests of one run start them (`programPath` in `test/programs.ts`). */
export interface TestPrograms {
  folder: string;
  remove(): void;
}

/**
 * Makes a file for each program, `NAME.js`, that starts it in a fraction of the time: what one process has compiled the next
 * one finds. The two that load most are bundled as they are published. `pbook` and `prun` stay in their source, beside the files that
 * they read.
 */
export async function buildTestPrograms(root: string): Promise<TestPrograms> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-programs-'));
  chmodSync(folder, 0o755); // Some tests start programs as another user.
  // As in the package: without it Node compiles each file once more to see what it is.
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  const lib = join(folder, 'lib');
  const bundled = ['panda-secrets', 'panda-pilot'] as const;
  await Promise.all(bundled.map((name) => bundleProgram(name, root, lib)));
  writeServerFiles(root, lib);
  const mains = { ...PROGRAMS, ...Object.fromEntries(bundled.map((name) => [name, join(lib, `${name}.js`)])) };
  for (const [name, main] of Object.entries(mains)) {
    const url = pathToFileURL(resolve(root, main));
    writeFileSync(join(folder, `${name}.js`), starter(join(folder, 'compiled'), url.href));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function starter(cache: string, main: string): string {
  return [
    "import module from 'node:module';",
    `module.enableCompileCache(${JSON.stringify(cache)});`,
    `await import(${JSON.stringify(main)});`,
    '',
  ].join('\n');
}
