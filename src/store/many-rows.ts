/** The most rows of one statement: PostgreSQL takes 65,535 values, SQLite 32,766. */
const MOST_ROWS = 1024;

/**
 * Writes rows by statements of 1024, 512, ... 2, 1 rows: a {@link prepared} statement is compiled for each length of a list, and of these
 * there are eleven.
 */
export async function writeRows<Row>(
  rows: readonly Row[],
  write: (some: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  let from = 0;
  for (let size = MOST_ROWS; size >= 1; size /= 2) {
    for (; rows.length - from >= size; from += size) await write(rows.slice(from, from + size));
  }
}
