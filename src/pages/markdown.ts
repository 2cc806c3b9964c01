import { Marked } from 'marked';
import type { Html } from './html.ts';

/**
 * Some Markdown of this project's own, as HTML. What looks like HTML in it is shown as text.
 *
 * @param link where a link or picture leads; undefined where it leads nowhere
 */
export function markdown(text: string, link: (target: string) => string | undefined): Html {
  const renderer = new Marked({
    async: false,
    renderer: {
      html: ({ text }) => escaped(text),
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${escaped(anchorOf(text))}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      code({ text, lang = '' }) {
        return `<pre tabindex="0" aria-label="${lang === '' ? 'text' : escaped(lang)}"><code>${escaped(text)}</code></pre>\n`;
      },
      table(token) {
        const cells = (row: typeof token.header, tag: string) =>
          row.map(({ tokens, text }) => cell(text === '' ? 'td' : tag, this.parser.parseInline(tokens))).join('');
        const isBare = token.header.every(({ text }) => text === '');
        const head = isBare ? '' : `<thead><tr>${cells(token.header, 'th')}</tr></thead>`;
        const body = token.rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n');
        return `<div class="table" tabindex="0" role="group" aria-label="table"><table>${head}<tbody>${body}</tbody></table></div>\n`;
      },
      link({ href, tokens }) {
        const target = link(href);
        const inside = this.parser.parseInline(tokens);
        return target === undefined ? inside : `<a href="${escaped(target)}">${inside}</a>`;
      },
      image: ({ href, text }) => `<img src="${escaped(link(href) ?? '')}" alt="${escaped(text)}">`,
    },
  });
  return { text: renderer.parse(text) as string };
}

/** One line of Markdown. */
export function inlineMarkdown(text: string): Html {
  return { text: INLINE.parseInline(text) as string };
}

/** The headings of a page, with where they are. */
export function headingsOf(text: string, depth: number): { title: string; anchor: string }[] {
  return new Marked()
    .lexer(text)
    .flatMap((token) => (token.type === 'heading' && token['depth'] === depth ? [token['text'] as string] : []))
    .map((title) => ({ title: title.replaceAll('`', ''), anchor: anchorOf(title) }));
}

function cell(tag: string, inside: string): string {
  return `<${tag}${tag === 'th' ? ' scope="col"' : ''}>${inside}</${tag}>`;
}

/** As GitHub makes them of headings. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ESCAPES[sign] ?? '');
}

const INLINE = new Marked({ async: false, renderer: { html: ({ text }) => escaped(text) } });
