import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A real file system of `megabytes`, until the test's end; or undefined, and the test is skipped, where none may be mounted. */
export function smallDisk(t: TestContext, megabytes: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'panda-full-'));
  const options = `size=${megabytes}m,mode=700`;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  t.after(() => {
    if (mounted) spawnSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  if (mounted) return folder;
  t.skip('no tmpfs can be mounted here: only root can, outside of containers that forbid it');
  return undefined;
}

/** Fills the disk that holds `path` with this one file, to the last byte. @returns its size */
export function fillDisk(path: string): number {
  const file = openSync(path, 'a');
  const block = Buffer.alloc(256 * 1024, 1);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return statSync(path).size;
}

/** Bytes that are free on the disk that holds `path`. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** A real file system that can fail: from `fail` on it takes no writes, as after an error of its disk. */
export interface FailingDisk {
  folder: string;
  fail(): void;
  /** Puts it in order again, when nothing has a file of it open. */
  repair(): void;
}

/** An ext4 in a file, until the test's end; or undefined, and the test is skipped, where none may be mounted. */
export function failingDisk(t: TestContext, megabytes: number): FailingDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'panda-failing-'));
  const [image, mounted] = [join(folder, 'image'), join(folder, 'disk')];
  const run = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
  mkdirSync(mounted);
  const mount = () => run('mount', '-o', 'loop', image, mounted);
  const isThere = run('truncate', '-s', `${megabytes}M`, image) && run('mkfs.ext4', '-q', image) && mount();
  t.after(() => {
    run('umount', '--lazy', mounted);
    rmSync(folder, { recursive: true, force: true });
  });
  if (!isThere) {
    t.skip('no ext4 can be mounted here: only root can, outside of containers that forbid it');
    return undefined;
  }
  return {
    folder: mounted,
    fail() {
      if (!run('mount', '-o', 'remount,abort', mounted)) throw new Error('the file system cannot be made to fail');
    },
    repair() {
      if (!run('umount', mounted)) throw new Error('something uses the file system');
      run('fsck.ext4', '-y', image);
      if (!mount()) throw new Error('the file system cannot be mounted again');
    },
  };
}
