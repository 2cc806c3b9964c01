import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import { outputWidth } from './reporting.ts';

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
export function columns(
  titles: readonly (Column | string)[],
  rows: readonly (readonly string[])[],
  width = outputWidth(),
): string {
  const head = titles.map((column): Column => (typeof column === 'string' ? { title: column } : column));
  const cells = rows.map((row) => head.map((_, place) => row[place] ?? ''));
  const widths = fittedWidths(head, cells, width);
  return widths ? table(head, cells, widths) : records(head, cells, width);
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
): number[] | undefined {
  const last = head.length - 1;
  const widest = head.map(({ title }, place) =>
    cells.reduce((most, row) => Math.max(most, stringWidth(row[place] ?? '')), stringWidth(title)),
  );
  const isFixed = (place: number) => head[place]?.align === 'right' || head[place]?.isWhole === true;
  const least = head.map(({ title }, place) =>
    isFixed(place) ? (widest[place] ?? 0) : Math.max(stringWidth(title), Math.min(NARROW, widest[place] ?? 0)),
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

function table(head: readonly Column[], cells: readonly (readonly string[])[], most: readonly number[]): string {
  const titles = head.map(({ title }) => title);
  const rows = [titles, ...cells].map((row) => row.map((cell, place) => wrapped(cell, most[place] ?? 1).split('\n')));
  // A word that went into the next line leaves room.
  const widths = titles.map((_, place) =>
    rows.flatMap((row) => row[place] ?? []).reduce((widest, text) => Math.max(widest, stringWidth(text)), 0),
  );
  const drawn = (row: readonly (readonly string[])[]) =>
    Array.from({ length: Math.max(...row.map((cell) => cell.length)) }, (_, n) => {
      const texts = row.map((cell, place) => padded(cell[n] ?? '', widths[place] ?? 0, head[place]));
      return ' '.repeat(MARGIN) + texts.join(' '.repeat(GAP));
    });
  const [top = [], ...below] = rows;
  return ended([top, widths.map((width) => ['-'.repeat(width)]), ...below].flatMap(drawn));
}

function padded(text: string, width: number, column: Column | undefined): string {
  const room = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return column?.align === 'right' ? room + text : text + room;
}

function records(head: readonly Column[], cells: readonly (readonly string[])[], width: number): string {
  const titles = Math.max(...head.map(({ title }) => stringWidth(title)));
  const indent = MARGIN + titles + GAP;
  const lines = cells.flatMap((row, n) => [
    ...(n > 0 ? [''] : []),
    ...head.flatMap(({ title }, place) => {
      const value = wrapped(row[place] ?? '', Math.max(NARROW, width - indent)).split('\n');
      const first = ' '.repeat(MARGIN) + title + ' '.repeat(titles - stringWidth(title) + GAP);
      return value.map((line, part) => (part === 0 ? first : ' '.repeat(indent)) + line);
    }),
  ]);
  return ended(lines);
}

function wrapped(text: string, width: number): string {
  return stringWidth(text) <= width ? text : wrapAnsi(text, width, { hard: true });
}

function ended(lines: readonly string[]): string {
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
