import { outputWidth } from './reporting.ts';
import { loadWrap, type Measure, measureFor, type Wrap } from './text-layout.ts';

export interface Column {
  title: string;
  /** Numbers stand with their last digits under each other, and are not broken. */
  align?: 'right';
  /** Not broken either: a name that is copied into the next command. */
  isWhole?: true;
}

/**
 * Rows under a header and a rule; a title alone stands for its column. A cell may hold styles of the terminal; they take no room.
 * Nothing is cut: a cell that is too wide goes on in the line below, and where even that needs more than `width`, each row is a
 * list of its cells.
 */
export async function columns(
  titles: readonly (Column | string)[],
  rows: readonly (readonly string[])[],
  width = outputWidth(),
): Promise<string> {
  const head = titles.map((column): Column => (typeof column === 'string' ? { title: column } : column));
  const cells = rows.map((row) => head.map((_, place) => row[place] ?? ''));
  const measure = await measureFor([...head.map(({ title }) => title), ...cells.flat()]);
  const widths = fittedWidths(head, cells, width, measure);
  const isWide = !widths || cells.some((row) => row.some((cell, place) => measure(cell) > (widths[place] ?? 0)));
  const wrap = isWide ? await loadWrap() : asItIs;
  const layout = {
    measure,
    wrapped: (text: string, most: number) => (measure(text) <= most ? text : wrap(text, most)),
  };
  return widths ? table(head, cells, widths, layout) : records(head, cells, width, layout);
}

const asItIs: Wrap = (text) => text;

interface Layout {
  measure: Measure;
  wrapped: Wrap;
}

/** Room in front of a row and between its cells. */
const MARGIN = 1;
const GAP = 2;
/** No column is made narrower than that for others to fit. */
const NARROW = 12;

/** The width of each column, or undefined where they do not fit. A long cell makes the others of its column no wider than a third of all. */
function fittedWidths(
  head: readonly Column[],
  cells: readonly (readonly string[])[],
  width: number,
  measure: Measure,
): number[] | undefined {
  const last = head.length - 1;
  const widest = head.map(({ title }, place) =>
    cells.reduce((most, row) => Math.max(most, measure(row[place] ?? '')), measure(title)),
  );
  const isFixed = (place: number) => head[place]?.align === 'right' || head[place]?.isWhole === true;
  const least = head.map(({ title }, place) =>
    isFixed(place) ? (widest[place] ?? 0) : Math.max(measure(title), Math.min(NARROW, widest[place] ?? 0)),
  );
  const room = width - MARGIN - GAP * last;
  const third = Math.max(NARROW, Math.floor(width / 3));
  const widths = widest.map((most, place) => {
    const isFree = isFixed(place) || place === last;
    return isFree ? most : Math.max(least[place] ?? 0, Math.min(most, third));
  });
  let left = room - sum(widths);
  while (left < 0) {
    const slack = widths.map((one, place) => one - (least[place] ?? 0));
    const place = slack.indexOf(Math.max(...slack));
    if ((slack[place] ?? 0) <= 0) return undefined;
    widths[place] = (widths[place] ?? 0) - 1;
    left++;
  }
  return widths;
}

function table(
  head: readonly Column[],
  cells: readonly (readonly string[])[],
  most: readonly number[],
  { measure, wrapped }: Layout,
): string {
  const titles = head.map(({ title }) => title);
  const rows = [titles, ...cells].map((row) => row.map((cell, place) => wrapped(cell, most[place] ?? 1).split('\n')));
  // A word that went into the next line leaves room.
  const widths = titles.map((_, place) =>
    rows.flatMap((row) => row[place] ?? []).reduce((widest, text) => Math.max(widest, measure(text)), 0),
  );
  const drawn = (row: readonly (readonly string[])[]) =>
    Array.from({ length: Math.max(...row.map((cell) => cell.length)) }, (_, n) => {
      const texts = row.map((cell, place) => padded(cell[n] ?? '', widths[place] ?? 0, head[place], measure));
      return ' '.repeat(MARGIN) + texts.join(' '.repeat(GAP));
    });
  const [top = [], ...below] = rows;
  return ended([top, widths.map((width) => ['-'.repeat(width)]), ...below].flatMap(drawn));
}

function padded(text: string, width: number, column: Column | undefined, measure: Measure): string {
  const room = ' '.repeat(Math.max(0, width - measure(text)));
  return column?.align === 'right' ? room + text : text + room;
}

function records(
  head: readonly Column[],
  cells: readonly (readonly string[])[],
  width: number,
  { measure, wrapped }: Layout,
): string {
  const titles = Math.max(...head.map(({ title }) => measure(title)));
  const indent = MARGIN + titles + GAP;
  const lines = cells.flatMap((row, n) => [
    ...(n > 0 ? [''] : []),
    ...head.flatMap(({ title }, place) => {
      const value = wrapped(row[place] ?? '', Math.max(NARROW, width - indent)).split('\n');
      const first = ' '.repeat(MARGIN) + title + ' '.repeat(titles - measure(title) + GAP);
      return value.map((line, part) => (part === 0 ? first : ' '.repeat(indent)) + line);
    }),
  ]);
  return ended(lines);
}

function ended(lines: readonly string[]): string {
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
