/** The colours of every page: light or dark, as the reader's machine is. */
export const COLOURS = `
:root {
  color-scheme: light dark;
  --page: #eef1f5; --card: #ffffff; --text: #18202b; --quiet: #556172; --line: #cfd6e0; --field: #ffffff;
  --accent: #1f5fd0; --accent-strong: #174ba8; --on-accent: #ffffff; --focus: #1f5fd0;
  --bad: #a3160f; --bad-page: #fdecea; --bad-line: #f0b8b3; --good: #17693c; --shade: 0 1px 2px #0b1a3314, 0 8px 28px #0b1a331a;
  --heed: #6b3f00; --heed-page: #fff3dd; --heed-line: #e5c07a; --code-page: #f5f7fa;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151c; --card: #19212c; --text: #e8edf4; --quiet: #a3b0c0; --line: #374353; --field: #111820;
    --accent: #7fb0ff; --accent-strong: #a5c7ff; --on-accent: #0b1a33; --focus: #7fb0ff;
    --bad: #ffb4ac; --bad-page: #3a1815; --bad-line: #6e2b26; --good: #7fdca6; --shade: 0 1px 2px #0006, 0 8px 28px #0006;
    --heed: #ffd9a0; --heed-page: #33240d; --heed-line: #6d5320; --code-page: #111820;
  }
}
`;

/** The look of the pages on which something is done: one column, the system's fonts. */
export const STYLE = `${COLOURS}
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column; align-items: center;
  padding: 24px 16px; background: var(--page); color: var(--text); }
body.narrow { justify-content: center; }
header, main { width: 100%; max-width: 25rem; }
.wide header, .wide main { max-width: 44rem; }
main { padding: 32px; background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shade); }
.brand { display: inline-flex; align-items: center; gap: 10px; margin: 0 0 12px; padding: 6px 0; color: var(--text); font-size: .9375rem; font-weight: 600;
  letter-spacing: .01em; text-decoration: none; overflow-wrap: anywhere; }
.brand:hover span { text-decoration: underline; }
.brand svg { flex: none; width: 26px; height: 26px; color: var(--accent); }
h1 { margin: 0 0 6px; font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { margin: 32px 0 8px; font-size: 1.0625rem; line-height: 1.3; }
a { color: var(--accent); }
p { margin: 0 0 16px; }
.lead, .hint, .aside { color: var(--quiet); }
.lead { margin-bottom: 22px; }
.hint { margin: 6px 0 0; font-size: .875rem; }
label { display: block; margin: 0 0 6px; font-weight: 600; font-size: .9375rem; }
form + .hint { margin-top: 18px; }
.field { margin: 0 0 18px; }
input[type=text], input[type=password] { width: 100%; min-height: 46px; padding: 9px 12px; font: inherit; color: inherit;
  background: var(--field); border: 1px solid var(--line); border-radius: 9px; }
input.code { font: 600 1.35rem/1.3 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; letter-spacing: .12em; text-align: center; text-transform: uppercase; }
input::placeholder { color: var(--quiet); opacity: .8; }
input[aria-invalid=true] { border-color: var(--bad); }
button, .button { display: block; width: 100%; min-height: 46px; padding: 10px 16px; font: inherit; font-weight: 600; text-align: center; text-decoration: none;
  color: var(--on-accent); background: var(--accent); border: 1px solid transparent; border-radius: 9px; cursor: pointer; }
button:hover, .button:hover { background: var(--accent-strong); }
.quiet { color: var(--text); background: transparent; border-color: var(--line); }
.quiet:hover { background: var(--page); }
.small { width: auto; min-height: 40px; padding: 7px 14px; font-size: .9375rem; }
.buttons { display: grid; gap: 10px; margin-top: 14px; }
.buttons.row { display: flex; flex-wrap: wrap; margin-bottom: 10px; }
.row .button { width: auto; min-width: 9rem; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.code-shown { margin: 0 0 18px; padding: 14px; text-align: center; background: var(--page); border: 1px solid var(--line); border-radius: 9px;
  font: 650 1.7rem/1.3 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; letter-spacing: .14em; overflow-wrap: anywhere; }
.wrong { margin: 0 0 18px; padding: 11px 14px; color: var(--bad); background: var(--bad-page); border: 1px solid var(--bad-line); border-radius: 9px; }
.warning { margin: 0 0 18px; padding: 11px 14px; color: var(--heed); background: var(--heed-page); border: 1px solid var(--heed-line); border-radius: 9px; }
.told { padding: 11px 14px; background: var(--page); border: 1px solid var(--line); border-radius: 9px; }
.title { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 4px 16px; }
.rows { margin: 0 0 14px; padding: 0; list-style: none; border-bottom: 1px solid var(--line); }
.rows li { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 16px; padding: 12px 0; border-top: 1px solid var(--line); }
.rows li > div { flex: 1 1 16rem; min-width: 0; overflow-wrap: anywhere; }
.rows .name { margin: 0; font-weight: 600; }
.rows .hint { margin: 2px 0 0; }
.mark { padding: 1px 9px; font-size: .8125rem; font-weight: 500; color: var(--quiet); border: 1px solid var(--line); border-radius: 999px; white-space: nowrap; }
.links { padding: 0; list-style: none; }
.links li { padding: 5px 0; }
.links a { font-weight: 600; }
code { font: .9em ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
pre { margin: 0 0 16px; padding: 14px 16px; overflow-x: auto; background: var(--code-page); border: 1px solid var(--line); border-radius: 9px; line-height: 1.6; }
pre code { overflow-wrap: normal; }
.comment { color: var(--quiet); }
dl { margin: 14px 0 20px; display: grid; grid-template-columns: auto 1fr; gap: 4px 14px; font-size: .9375rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0 0 20px; padding-left: 1.2em; }
.done { width: 46px; height: 46px; margin: 0 0 14px; color: var(--good); }
@media (max-width: 27rem) { body.narrow { justify-content: flex-start; } main { padding: 24px 20px; } }
`;
