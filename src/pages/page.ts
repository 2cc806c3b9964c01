import { createHash } from 'node:crypto';
import { type Html, html } from './html.ts';
import { STYLE } from './style.ts';

/** A page that is ready to be sent. */
export interface Page {
  status: number;
  headers: Record<string, string>;
  html: string;
}

/**
 * A page that works without JavaScript, and has none: the policy that goes with it forbids any, frames around it, and forms
 * that send to other servers than this one and `formTargets` (to which a form's answer may lead the browser on).
 */
export function page(
  title: string,
  content: Html,
  { status = 200, formTargets = [] }: { status?: number; formTargets?: readonly string[] } = {},
): Page {
  const document = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} – PanDA secrets</title>
<style>${{ text: STYLE }}</style>
</head>
<body>
<main>
<p class="brand">${LOGO}PanDA secrets</p>
${content}
</main>
</body>
</html>
`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': [
        "default-src 'none'",
        `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
        `form-action ${["'self'", ...formTargets].join(' ')}`,
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ].join('; '),
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

/** The mistake, above a form; read out first. */
export function complaint(text: string | undefined): Html {
  return text === undefined ? html`` : html`<p class="wrong" role="alert">${text}</p>`;
}

/** A page that tells something and asks for nothing. */
export function notice(title: string, text: string, { good = false, status = 200 } = {}): Page {
  return page(title, html`${good && TICK}<h1>${title}</h1><p class="lead" role="status">${text}</p>`, { status });
}

/** A sealed envelope with a keyhole. */
const LOGO: Html = {
  text:
    '<svg viewBox="0 0 26 26" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" aria-hidden="true">' +
    '<rect x="3" y="6" width="20" height="15" rx="3"/><path d="M4 8l9 7 9-7"/><circle cx="13" cy="15" r="3.2" fill="currentColor" stroke="none"/></svg>',
};

const TICK: Html = {
  text:
    '<svg class="done" viewBox="0 0 46 46" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">' +
    '<circle cx="23" cy="23" r="20"/><path d="M14.5 23.5l6 6 11-12.5"/></svg>',
};
