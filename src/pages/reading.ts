import { type Html, html } from './html.ts';
import { LOGO } from './icons.ts';
import { contentPolicy, type DrawnPage } from './page.ts';
import { COLOURS } from './style.ts';

/** A long page to be read, with a list of its places beside it. */
export interface Reading {
  title: string;
  navigation: Html;
  content: Html;
}

/** The page as HTML, under the name of the site. It runs nothing, and shows pictures of this server alone. */
export function drawReading({ title, navigation, content }: Reading, siteName: string): DrawnPage {
  const { text } = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – ${siteName}</title>
<style>${{ text: STYLE }}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header><a class="brand" href="/">${LOGO}<span>${siteName}</span></a>
<p><a href="/docs/using-secrets">Using secrets</a> <a href="/docs/user">For users</a> <a href="/api/v1/docs">The API</a></p></header>
<div class="columns">
${navigation}
<main id="content">
${content}
</main>
</div>
</body>
</html>
`;
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': contentPolicy({ style: STYLE, forms: ["'self'"], images: "'self'" }),
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
    html: text,
  };
}

const STYLE = `${COLOURS}
* { box-sizing: border-box; }
html { font: 16px/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; scroll-padding-top: 16px; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 76rem; padding: 16px; background: var(--page); color: var(--text); }
header { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 4px 20px; margin: 0 0 12px; }
header p { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0; }
.brand { display: inline-flex; align-items: center; gap: 10px; padding: 6px 0; color: var(--text); font-weight: 600; text-decoration: none; overflow-wrap: anywhere; }
.brand:hover span { text-decoration: underline; }
.brand svg { flex: none; width: 26px; height: 26px; color: var(--accent); }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
main { min-width: 0; padding: 24px 20px; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
h1 { margin: 0 0 10px; font-size: 1.75rem; line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 36px 0 10px; font-size: 1.3rem; line-height: 1.3; }
h3 { margin: 26px 0 8px; font-size: 1.0625rem; line-height: 1.35; }
h1, h2, h3, p, li { overflow-wrap: anywhere; }
p, ul, ol { margin: 0 0 14px; }
ul, ol { padding-left: 1.3em; }
main > p, main > ul, main > ol { max-width: 46rem; }
a { color: var(--accent); }
code { font: .9em ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
pre { margin: 0 0 16px; padding: 12px 16px; overflow-x: auto; background: var(--code-page); border: 1px solid var(--line); border-radius: 9px; line-height: 1.5; }
pre code { overflow-wrap: normal; }
pre.copy { user-select: all; -webkit-user-select: all; }
img { display: block; max-width: 100%; height: auto; margin: 0 0 16px; }
.table { margin: 0 0 16px; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { padding: 6px 14px 6px 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { color: var(--quiet); font-weight: 600; font-size: .8125rem; border-top: 0; }
tbody th { font-weight: 500; }
nav ul { padding: 0; list-style: none; }
nav li, nav section { margin: 0; }
nav a { display: inline-block; padding: 3px 0; overflow-wrap: anywhere; text-decoration: none; }
nav a:hover { text-decoration: underline; }
nav .group { font-weight: 600; }
details { margin: 0 0 8px; padding: 0 14px; border: 1px solid var(--line); border-radius: 10px; }
details[open] { padding-bottom: 12px; }
details h3 { margin: 18px 0 6px; font-size: .9375rem; }
summary { padding: 10px 0; cursor: pointer; }
summary code { font-weight: 650; }
.method { display: inline-block; min-width: 3.2rem; font: 700 .75rem/1 ui-monospace, monospace; }
.get { color: var(--good); }
.post { color: var(--heed); }
.what, .required { color: var(--quiet); }
.required { font-size: .8125rem; }
.mark { margin-left: 4px; padding: 1px 8px; font-size: .75rem; color: var(--accent); border: 1px solid currentColor; border-radius: 999px; white-space: nowrap; }
.search { margin: 24px 0 16px; }
.search label { display: block; margin: 0 0 6px; font-weight: 600; }
.search div { display: flex; gap: 10px; max-width: 34rem; }
.search input { flex: 1; min-width: 0; min-height: 44px; padding: 8px 12px; font: inherit; color: inherit; background: var(--field); border: 1px solid var(--line); border-radius: 9px; }
.search button { min-height: 44px; padding: 8px 18px; font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent); border: 0; border-radius: 9px; cursor: pointer; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
@media (min-width: 60rem) {
  .columns { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 24px; align-items: start; }
  nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding: 16px 4px; font-size: .9375rem; }
  nav section { margin: 0 0 10px; }
  main { padding: 32px 36px; }
}
@media (max-width: 59.99rem) {
  nav { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 14px; }
  nav section ul { display: none; }
  nav a { padding: 4px 12px; border: 1px solid var(--line); border-radius: 999px; background: var(--card); }
}
`;
