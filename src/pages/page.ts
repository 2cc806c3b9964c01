import { createHash } from 'node:crypto';
import { type Html, html } from './html.ts';
import { LOGO, TICK } from './icons.ts';
import { STYLE } from './style.ts';

/** A page, to be drawn in the frame that all have. */
export interface Page {
  title: string;
  content: Html;
  status: number;
  /** Origins to which the answer to one of its forms may lead the browser on. */
  formTargets: readonly string[];
  /** For one question, or for reading. */
  width: 'narrow' | 'wide';
}

/** A page that is ready to be sent. */
export interface DrawnPage {
  status: number;
  headers: Record<string, string>;
  html: string;
}

export function page(
  title: string,
  content: Html,
  { status = 200, formTargets = [], width = 'narrow' }: Partial<Omit<Page, 'title' | 'content'>> = {},
): Page {
  return { title, content, status, formTargets, width };
}

/**
 * The page as HTML, under the name of the site. It works without JavaScript, and has none: the policy that goes with it forbids any,
 * frames around it, and forms that send to other servers than this one and the page's `formTargets`.
 */
export function drawPage({ title, content, status, formTargets, width }: Page, siteName: string): DrawnPage {
  const document = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} – ${siteName}</title>
<style>${{ text: STYLE }}</style>
</head>
<body class="${width}">
<header><a class="brand" href="/">${LOGO}<span>${siteName}</span></a></header>
<main>
${content}
</main>
</body>
</html>
`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': contentPolicy({ style: STYLE, forms: ["'self'", ...formTargets] }),
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      // The addresses of these pages are secret. (With "no-referrer" the forms would come without their origin.)
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
      'cross-origin-opener-policy': 'same-origin',
    },
    html: document.text,
  };
}

/**
 * The rights of a page: its own style, and nothing else but what is named here.
 *
 * @param forms where its forms may send
 * @param images from where it may load images
 */
export function contentPolicy({
  style,
  forms = ["'none'"],
  images,
}: {
  style: string;
  forms?: readonly string[];
  images?: "'self'";
}): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    ...(images ? [`img-src ${images}`] : []),
    `form-action ${forms.join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
}

/** The mistake, above a form; read out first. */
export function complaint(text: string | undefined): Html {
  return text === undefined ? html`` : html`<p class="wrong" role="alert">${text}</p>`;
}

/** A place to go on to. */
export interface Link {
  href: string;
  text: string;
}

export const START: Link = { href: '/', text: 'To the start page' };

/** A page that tells something and asks for nothing; the first of its links is the one that most take. */
export function notice(
  title: string,
  text: Html | string,
  { good = false, status = 200, links = [START] }: { good?: boolean; status?: number; links?: readonly Link[] } = {},
): Page {
  const content = html`${good && TICK}<h1>${title}</h1>
<p class="lead" role="status">${text}</p>
<div class="buttons">${links.map(({ href, text }, place) => html`<a class="button${place > 0 && ' quiet'}" href="${href}">${text}</a>`)}</div>`;
  return page(title, content, { status });
}
