import Table from 'cli-table3';

export interface Column {
  title: string;
  /** Numbers stand with their last digits under each other. */
  align?: 'right';
}

/** Rows under a header and a rule; a title alone stands for its column. A cell may hold styles of the terminal; they take no room. */
export function columns(titles: readonly (Column | string)[], rows: readonly (readonly string[])[]): string {
  const head = titles.map((column) => (typeof column === 'string' ? { title: column, align: undefined } : column));
  const table = new Table({
    head: head.map(({ title }) => title),
    colAligns: head.map(({ align }) => align ?? 'left'),
    chars: { ...NO_BORDERS, left: ' ', middle: '  ', 'left-mid': ' ', mid: '-', 'mid-mid': '  ' },
    // The rule stands below the header alone.
    style: { compact: true, head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => head.map((_, place) => row[place] ?? '')));
  const lines = table.toString().split('\n');
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['right', 'right-mid'],
  ].map((name) => [name, '']),
);
