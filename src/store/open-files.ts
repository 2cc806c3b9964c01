import {
  close,
  closeSync,
  fstat,
  fstatSync,
  ftruncate,
  ftruncateSync,
  open,
  openSync,
  read,
  readSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';

/** Files by their descriptors. Whoever opens one closes it. All throw what the system says. */
export interface OpenFiles {
  open(path: string, flags: number, mode?: number): number | Promise<number>;
  /** In bytes. */
  size(file: number): number | Promise<number>;
  /** @returns how many bytes were read; fewer than there is room for at the file's end */
  read(file: number, into: Buffer, at: number): number | Promise<number>;
  /** @returns how many bytes were written; a disk that is nearly full takes a part */
  write(file: number, bytes: Uint8Array, at: number): number | Promise<number>;
  truncate(file: number, size: number): void | Promise<void>;
  close(file: number): void | Promise<void>;
}

/** The process waits for the disk: for small parts of files on one that is near. */
export const filesAtOnce: OpenFiles = {
  open: openSync,
  size: (file) => fstatSync(file).size,
  read: (file, into, at) => readSync(file, into, 0, into.length, at),
  write: (file, bytes, at) => writeSync(file, bytes, 0, bytes.length, at),
  truncate: ftruncateSync,
  close: closeSync,
};

const apart = {
  size: promisify(fstat),
  read: promisify(read),
  write: promisify(write),
};

/** Another thread waits for it, at ten times the cost: it may be a network's. */
export const filesApart: OpenFiles = {
  open: promisify(open),
  size: async (file) => (await apart.size(file)).size,
  read: async (file, into, at) => (await apart.read(file, into, 0, into.length, at)).bytesRead,
  write: async (file, bytes, at) => (await apart.write(file, bytes, 0, bytes.length, at)).bytesWritten,
  truncate: promisify(ftruncate),
  close: promisify(close),
};
