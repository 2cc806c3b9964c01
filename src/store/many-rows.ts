/** Lists up to here are one statement. */
const FEW_ROWS = 32;
/** The most rows of one statement: PostgreSQL takes 65,535 values, SQLite 32,766. */
const MOST_ROWS = 1024;

/**
 * Writes rows by statements of 1 to 32 rows, and of 64, 128, ... 1024 where there are more: a {@link prepared} statement is compiled for each
 * length of a list, and keeps no more than some forty.
 */
export async function writeRows<Row>(
  rows: readonly Row[],
  write: (some: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  let from = 0;
  for (let size = MOST_ROWS; size >= FEW_ROWS; size /= 2) {
    for (; rows.length - from >= size && rows.length > FEW_ROWS; from += size) {
      await write(rows.slice(from, from + size));
    }
  }
  if (from < rows.length) await write(from === 0 ? rows : rows.slice(from));
}
