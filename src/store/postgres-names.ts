const names = new Map<string, string>();

/** Columns that are not named: their number changes when a newer server adds one, which PostgreSQL refuses a statement that it has kept. */
const ALL_COLUMNS = /(?:select|returning|\.)\s*\*/i;

/** Has connections to PostgreSQL keep a statement with its plan. There are to be few: each connection keeps them all. */
export function nameStatement(sql: string): void {
  if (!names.has(sql) && !ALL_COLUMNS.test(sql)) names.set(sql, `kept_${names.size}`);
}

/** The name under which a connection keeps a statement; undefined for every one that was not named. */
export function nameOf(sql: string): string | undefined {
  return names.get(sql);
}
