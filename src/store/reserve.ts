import { randomBytes } from 'node:crypto';
import { existsSync, unlinkSync } from 'node:fs';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NoSpace } from '../protocol/errors.ts';
import { isFullDisk } from '../protocol/full-disk.ts';
import { RESERVE_BYTES } from '../protocol/limits.ts';

/**
 * Room on the disk that is kept back, as a file, for the writes that must go on when it is full: deletes, and what ends jobs. The
 * first write that finds the disk full gives it up. From then on writes that grow are refused, until there is room to keep back again.
 */
export interface Reserve {
  /** For a write that makes the data grow. @throws {NoSpace} while the room is given up */
  refuseGrowth(): void;
  /**
   * Gives the room up. At once, without waiting: another write would take it meanwhile.
   *
   * @returns true when there was some, so that the write that found the disk full may be tried again
   */
  giveUp(): boolean;
  /** Makes the file when it is not there and the disk has room for twice its size: otherwise it would soon be given up again. */
  keep(): Promise<void>;
}

/** For a database or folder that has none. */
export const NO_RESERVE: Reserve = { refuseGrowth() {}, giveUp: () => false, async keep() {} };

/** Bytes that are written at a time. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * The reserve in the file at `path`; {@link Reserve.keep} makes it. Any process may give it up: those that have seen it there
 * see that at their next write that grows.
 *
 * @param options.onChange told when the room was given up (true), and when it is kept back again (false)
 */
export function openReserve(
  path: string,
  { bytes = RESERVE_BYTES, onChange = () => {} }: { bytes?: number; onChange?: (isGivenUp: boolean) => void } = {},
): Reserve {
  let isGivenUp = false;
  let wasThere = false;
  /** Counts, so that a file that is being made when the room is given up is not taken for room. */
  let timesGivenUp = 0;

  function become(givenUp: boolean): void {
    if (isGivenUp === givenUp) return;
    isGivenUp = givenUp;
    onChange(givenUp);
  }

  /** @returns false when the room was given up, or used, meanwhile */
  async function make(): Promise<boolean> {
    const before = timesGivenUp;
    // Random bytes: a file system that compresses, or leaves out zeros, would keep nothing back.
    const block = randomBytes(Math.min(BLOCK_BYTES, bytes));
    const file = await open(path, 'w', 0o600);
    try {
      for (let at = 0; at < bytes && timesGivenUp === before; at += block.length) {
        await file.writeFile(block.subarray(0, bytes - at));
      }
    } catch (error) {
      if (!isFullDisk(error)) throw error;
      await rm(path, { force: true });
      return false;
    } finally {
      await file.close();
    }
    return timesGivenUp === before;
  }

  return {
    refuseGrowth() {
      // Another process has given it up; what grows here would take the room.
      if (wasThere && !isGivenUp && !existsSync(path)) become(true);
      if (isGivenUp) throw new NoSpace();
    },

    giveUp() {
      timesGivenUp += 1;
      become(true);
      try {
        unlinkSync(path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw error;
      }
    },

    async keep() {
      const found = await stat(path).catch(() => undefined);
      if (found?.size === bytes) {
        wasThere = true;
        become(false);
        return;
      }
      const { bavail, bsize } = await statfs(dirname(path));
      wasThere = bavail * bsize >= 2 * bytes && (await make());
      become(!wasThere);
    },
  };
}
