import { lstatSync, readFileSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { homeFolder } from '../../../files/home-folder.ts';
import { makeFolder } from '../../../files/make-folder.ts';
import { Misconfigured } from '../../../protocol/errors.ts';
import { VERSION } from '../../../protocol/version.ts';

/**
 * The folder of the Python module `pbook`: in the source tree, and in the package, where this stands in `dist/lib/`.
 *
 * @internal
 */
export const PYTHON_FOLDER = join(import.meta.dirname, 'python');
/** By it the module finds the executable again, in any Python (`_link.py`). */
const PROGRAM_LINK = 'program';

/**
 * The folder that Python imports `pbook` from. The executable that has everything inside writes it into the user's cache folder, where
 * nobody else can write, and looks each time that it is as it wrote it.
 *
 * @throws {Misconfigured} when it cannot be written there; the message names the folder and the variable that chooses another
 */
export async function pythonFolder(env: NodeJS.ProcessEnv): Promise<string> {
  if (!isSea()) return PYTHON_FOLDER;
  const folder = join(env['XDG_CACHE_HOME'] || join(homeFolder(env), '.cache'), 'panda-secrets', `python-${VERSION}`);
  try {
    await makeFolder(join(folder, 'pbook'), 0o700);
    for (const place of [folder, join(folder, 'pbook')]) refuseIfNotOwn(place);
    const names: string[] = JSON.parse(getAsset('python', 'utf8'));
    for (const name of names) bringFile(join(folder, name), getRawAsset(`python/${name}`));
    bringLink(join(folder, PROGRAM_LINK), process.execPath);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Misconfigured(
      `pbook's files for Python cannot be kept in ${folder} (${code ?? message}): XDG_CACHE_HOME names another folder`,
    );
  }
  return folder;
}

/** Otherwise somebody else could put code there. */
function refuseIfNotOwn(place: string): void {
  const { uid, mode } = lstatSync(place);
  if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) throw new Error(`${place} is not the user's alone`);
}

/** Whole or not at all: another process may read it at this moment. */
function bringFile(path: string, content: ArrayBuffer): void {
  const wanted = Buffer.from(content);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isFile() && found.size === wanted.length && readFileSync(path).equals(wanted)) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, wanted, { mode: 0o600 });
  renameSync(temporary, path);
}

function bringLink(path: string, target: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() && readlinkSync(path) === target) return;
  const temporary = `${path}.${process.pid}`;
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}
