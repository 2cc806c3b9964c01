import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { answers, runCommand } from '../run-command.ts';
import { readSums } from './checksums.ts';
import { git, sourceOf } from './source.ts';

/** A place, a time zone, a language and a umask of its own: none may get into a file. */
const OTHER = { TZ: 'Pacific/Auckland', LC_ALL: 'C', HOME: '/nonexistent' };
const OTHER_UMASK = '027';

/**
 * Makes the release once more, in a clone of the commit, and compares.
 *
 * @param options `folder`: the release; `builder`: as it was made
 * @throws {Error} naming the files that are not the same
 */
export function makeAgain(root: string, { folder, builder }: { folder: string; builder: string }): void {
  const place = join(root, 'build', 'again');
  const clone = join(place, 'clone');
  const again = join(place, 'release');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  try {
    git(root, 'clone', '--quiet', '--shared', '--no-checkout', root, clone);
    git(clone, 'checkout', '--quiet', '--detach', sourceOf(root).commit);
    const copy = ['cp', '-a', join(root, 'node_modules'), clone];
    if (!answers([...copy, '--link'])) runCommand(copy);
    const script = join(clone, 'scripts/release.ts');
    const words = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script,
      '--once',
      '--into',
      again,
      '--builder',
      builder,
    ];
    const env = { ...OTHER, npm_config_cache: join(place, 'npm') };
    runCommand(['sh', '-c', `umask ${OTHER_UMASK}; exec "$@"`, 'sh', ...words], { cwd: clone, env });
    const differ = readSums(folder)
      .split('\n')
      .filter((line) => !readSums(again).split('\n').includes(line));
    if (differ.length > 0 || readSums(folder) !== readSums(again)) {
      throw new Error(`made again it has other bytes: ${differ.map((line) => line.split('  ')[1]).join(', ')}`);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
