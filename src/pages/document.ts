import { html } from './html.ts';
import { headingsOf, markdown } from './markdown.ts';
import type { DrawnPage } from './page.ts';
import { drawReading } from './reading.ts';

const DOCUMENTS = '/docs/';

/** A document of this project's, in Markdown, as a page with a list of its sections. `name` is its file's without the ending. */
export function documentPage(text: string, { name, siteName }: { name: string; siteName: string }): DrawnPage {
  const [top] = headingsOf(text, 1);
  const sections = headingsOf(text, 2);
  return drawReading(
    {
      title: top?.title ?? 'Document',
      navigation: html`<nav aria-label="Sections">${sections.map(
        ({ title, anchor }) => html`<section><a href="#${anchor}">${title}</a></section>`,
      )}</nav>`,
      content: markdown(text, (target) => placeOf(target, name)),
    },
    siteName,
  );
}

/** Another document is at the name of its file without the ending; files that are no documents are not here. */
function placeOf(target: string, name: string): string | undefined {
  if (target.startsWith('#')) return target;
  const here = new URL(`${DOCUMENTS}${name}`, 'http://here');
  // Markdown takes `http://HOST:PORT` in a text for a link.
  if (!URL.canParse(target, here)) return undefined;
  const { origin, pathname, hash } = new URL(target, here);
  if (origin !== here.origin) return target;
  return pathname.startsWith(DOCUMENTS) ? `${pathname.replace(/\.md$/, '')}${hash}` : undefined;
}
