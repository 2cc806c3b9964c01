import { stripVTControlCharacters } from 'node:util';

export interface Column {
  title: string;
  /** Numbers stand with their last digits under each other. */
  align?: 'right';
}

/** Rows under a header and a rule. A cell may hold styles of the terminal; they take no room. */
export function columns(head: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = head.map(({ title }, place) => Math.max(title.length, ...rows.map((row) => width(row[place] ?? ''))));
  const line = (cells: readonly string[]) =>
    ` ${head.map(({ align }, place) => padded(cells[place] ?? '', widths[place] ?? 0, align)).join('  ')}`.trimEnd();
  const rule = ` ${widths.map((width) => '-'.repeat(width)).join('  ')}`;
  return `${[line(head.map(({ title }) => title)), rule, ...rows.map(line)].join('\n')}\n`;
}

function padded(text: string, to: number, align: Column['align']): string {
  const space = ' '.repeat(to - width(text));
  return align === 'right' ? space + text : text + space;
}

function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
