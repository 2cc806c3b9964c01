const SQLITE_FULL = 13;
/** SQLite could not lengthen the file that its connections share: 32 kB at a time. */
const SQLITE_IOERR_SHMSIZE = 4874;

/** True of a full disk, in the file system's words, SQLite's or PostgreSQL's. */
export function isFullDisk(error: unknown): boolean {
  const { code = '', errcode } = error as { code?: string; errcode?: unknown };
  return ['ENOSPC', 'EDQUOT', '53100'].includes(code) || errcode === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE;
}

/** SQLite's READONLY, IOERR and CANTOPEN, in the last byte of its codes: what it says of a file system that takes no writes. */
const SQLITE_NO_WRITES = [8, 10, 14];

/** True of a disk that takes no writes: a file system that is mounted read-only, or became so after an error. */
export function isReadOnlyDisk(error: unknown): boolean {
  if (isFullDisk(error)) return false;
  const { code = '', errcode } = error as { code?: string; errcode?: unknown };
  return ['EROFS', 'EIO'].includes(code) || (typeof errcode === 'number' && SQLITE_NO_WRITES.includes(errcode & 0xff));
}
