const SQLITE_FULL = 13;
/** SQLite could not lengthen the file that its connections share: 32 kB at a time. */
const SQLITE_IOERR_SHMSIZE = 4874;

/** True of a full disk, in the file system's words, SQLite's or PostgreSQL's. */
export function isFullDisk(error: unknown): boolean {
  const { code = '', errcode } = error as { code?: string; errcode?: unknown };
  return ['ENOSPC', 'EDQUOT', '53100'].includes(code) || errcode === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE;
}
