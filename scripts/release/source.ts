import { runCommand } from '../run-command.ts';

/** The commit that a release is made of. */
export interface Source {
  commit: string;
  /** Seconds since 1970, of the commit: what the release tells as its time. */
  epoch: number;
}

/** @throws {Error} where the folder is no clone */
export function sourceOf(root: string): Source {
  const [commit = '', epoch = ''] = git(root, 'log', '-1', '--format=%H %ct').trim().split(' ');
  return { commit, epoch: Number(epoch) };
}

/** @throws {Error} when files are not as they are in the commit: a release tells of what it was made */
export function refuseChangedTree(root: string): void {
  const changed = git(root, 'status', '--porcelain').trimEnd();
  if (changed !== '') throw new Error(`a release is made of a commit, and these files are not as in it:\n${changed}`);
}

/** A clone that belongs to another user is read too: continuous integration runs as root. */
export function git(root: string, ...args: string[]): string {
  return runCommand(['git', '-c', `safe.directory=${root}`, '-c', `safe.directory=${root}/.git`, '-C', root, ...args]);
}
