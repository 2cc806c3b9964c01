import { chmodSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { list, type ReadEntry } from 'tar';
import { runCommand } from '../run-command.ts';
import { type PackedFile, problemsOf } from './contents.ts';

/** The most that the tarball may take. */
const MAX_PACKAGE_BYTES = 5_000_000;

/** A part of what `npm pack --json` tells. */
interface Packed {
  filename: string;
  files: { path: string; mode: number }[];
}

/**
 * Builds the programs and makes the tarball that is published, and checks what is in it.
 *
 * @param folder where it is put
 * @returns its path
 * @throws {Error} naming what is wrong with it
 */
export async function makeTarball(root: string, folder: string): Promise<string> {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning'];
  console.log(runCommand([...node, join(root, 'scripts/build.ts')], { cwd: root }).trim());
  const pack = (...options: string[]) => {
    const words = ['npm', 'pack', '--json', '--loglevel=error', '--pack-destination', folder, ...options];
    const [packed] = JSON.parse(runCommand(words, { cwd: root })) as Packed[];
    if (!packed) throw new Error('npm pack made nothing');
    return packed;
  };
  // npm packs the modes that files have, and those follow the umask of whoever cloned.
  for (const { path, mode } of pack('--dry-run').files) chmodSync(join(root, path), mode & 0o100 ? 0o755 : 0o644);
  const tarball = join(folder, pack().filename);
  await check(tarball, root);
  return tarball;
}

async function check(tarball: string, root: string): Promise<void> {
  const reading: Promise<PackedFile>[] = [];
  const onReadEntry = (entry: ReadEntry) => {
    reading.push(buffer(entry).then((content) => ({ path: entry.path.replace(/^package\//, ''), content })));
  };
  await list({ file: tarball, onReadEntry });
  const files = await Promise.all(reading);
  const problems = problemsOf(files, root);
  const { size } = statSync(tarball);
  if (size > MAX_PACKAGE_BYTES) problems.push(`it has ${size} bytes, and may have ${MAX_PACKAGE_BYTES}`);
  if (problems.length > 0) throw new Error(`the tarball is not what it should be:\n${problems.join('\n')}`);
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  console.log(
    `${basename(tarball)}: ${size} bytes; ${files.length} files, ${bytes} bytes unpacked, nothing else in it`,
  );
}
