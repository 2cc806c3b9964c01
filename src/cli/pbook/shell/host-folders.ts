import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { Python } from './python.ts';

type FileSystem = Python['FS'];

/** Folders at the top that the interpreter has itself: its library, its streams. */
const OWN = new Set(['lib', 'dev', 'proc']);

/**
 * Shows the machine's own files to Python under their own paths, and makes `folder` the current one. What stands in the
 * machine's `/lib`, `/dev` and `/proc` stays hidden behind the interpreter's own, except below `folder`.
 */
export function mountHostFolders(files: FileSystem, folder: string): void {
  for (const name of readdirSync('/')) {
    if (!OWN.has(name)) show(files, `/${name}`);
  }
  if (OWN.has(folder.split('/')[1] ?? '')) {
    files.mkdirTree(folder);
    mount(files, folder);
  }
  files.chdir(folder);
}

/** One that cannot be looked at (a dead network mount, one of another user) is left out. */
function show(files: FileSystem, path: string): void {
  try {
    const found = lstatSync(path);
    if (found.isSymbolicLink()) files.symlink(readlinkSync(path), path);
    if (!found.isDirectory()) return;
    files.mkdirTree(path);
    mount(files, path);
  } catch {
    // Left out.
  }
}

function mount(files: FileSystem, path: string): void {
  files.mount(files.filesystems.NODEFS, { root: path }, path);
}
