import { spawnSync } from 'node:child_process';
import { programPath } from '../programs.ts';

const NOBODY = 65534;
const MAIN = programPath('panda-pilot');

/** Options of a test that needs bubblewrap: skipped where it does not work. */
export const bubblewrap: { skip: string | false } = {
  skip:
    spawnSync('bwrap', ['--unshare-user-try', '--unshare-pid', '--ro-bind', '/', '/', '--proc', '/proc', 'true'])
      .status !== 0 && 'bwrap (bubblewrap) does not work here',
};

export const isRoot = process.getuid?.() === 0;

/** The words before a program that is to run as an ordinary user, when this is root. */
export function asNobody(): string[] {
  return ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
}

/** True when root can become another user, who may read the sources. */
export const canBeNobody =
  isRoot && spawnSync(asNobody()[0] ?? '', [...asNobody().slice(1), 'test', '-r', MAIN]).status === 0;
