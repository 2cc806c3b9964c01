/** Text that is HTML already: made by {@link html} alone. */
export interface Html {
  readonly text: string;
}

type Part = Html | string | number | undefined | false | readonly Html[];

/** HTML in which every value is escaped, but for those that are HTML themselves. Left out and false values are empty. */
export function html(literals: TemplateStringsArray, ...values: Part[]): Html {
  const text = literals.map((literal, index) => literal + (index < values.length ? textOf(values[index]) : ''));
  return { text: text.join('') };
}

function textOf(value: Part): string {
  if (value === undefined || value === false) return '';
  if (typeof value !== 'object') return escapeHtml(String(value));
  return 'text' in value ? value.text : value.map(({ text }) => text).join('');
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ESCAPES[sign] ?? '');
}
