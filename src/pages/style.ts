/** The look of every page of the provider: one column, the system's fonts, light or dark as the reader's machine is. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #eef1f5; --card: #ffffff; --text: #18202b; --quiet: #556172; --line: #cfd6e0; --field: #ffffff;
  --accent: #1f5fd0; --accent-strong: #174ba8; --on-accent: #ffffff; --focus: #1f5fd0;
  --bad: #a3160f; --bad-page: #fdecea; --bad-line: #f0b8b3; --good: #17693c; --shade: 0 1px 2px #0b1a3314, 0 8px 28px #0b1a331a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151c; --card: #19212c; --text: #e8edf4; --quiet: #a3b0c0; --line: #374353; --field: #111820;
    --accent: #7fb0ff; --accent-strong: #a5c7ff; --on-accent: #0b1a33; --focus: #7fb0ff;
    --bad: #ffb4ac; --bad-page: #3a1815; --bad-line: #6e2b26; --good: #7fdca6; --shade: 0 1px 2px #0006, 0 8px 28px #0006;
  }
}
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column; align-items: center; justify-content: center;
  padding: 24px 16px; background: var(--page); color: var(--text); }
main { width: 100%; max-width: 25rem; padding: 32px; background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shade); }
.brand { display: flex; align-items: center; gap: 10px; margin: 0 0 20px; color: var(--quiet); font-size: .875rem; font-weight: 600; letter-spacing: .01em; }
.brand svg { flex: none; width: 26px; height: 26px; color: var(--accent); }
h1 { margin: 0 0 6px; font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; text-wrap: balance; }
p { margin: 0 0 16px; }
.lead, .hint { color: var(--quiet); }
.lead { margin-bottom: 22px; }
.hint { margin: 6px 0 0; font-size: .875rem; }
label { display: block; margin: 0 0 6px; font-weight: 600; font-size: .9375rem; }
form + .hint { margin-top: 18px; }
.field { margin: 0 0 18px; }
input[type=text], input[type=password] { width: 100%; min-height: 46px; padding: 9px 12px; font: inherit; color: inherit;
  background: var(--field); border: 1px solid var(--line); border-radius: 9px; }
input.code { font: 600 1.35rem/1.3 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; letter-spacing: .12em; text-align: center; text-transform: uppercase; }
input::placeholder { color: var(--quiet); opacity: .55; }
input[aria-invalid=true] { border-color: var(--bad); }
button { width: 100%; min-height: 46px; padding: 10px 16px; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 1px solid transparent; border-radius: 9px; cursor: pointer; }
button:hover { background: var(--accent-strong); }
button.quiet { color: var(--text); background: transparent; border-color: var(--line); }
button.quiet:hover { background: var(--page); }
.buttons { display: grid; gap: 10px; margin-top: 4px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.code-shown { margin: 0 0 18px; padding: 14px; text-align: center; background: var(--page); border: 1px solid var(--line); border-radius: 9px;
  font: 650 1.7rem/1.3 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; letter-spacing: .14em; overflow-wrap: anywhere; }
.wrong { margin: 0 0 18px; padding: 11px 14px; color: var(--bad); background: var(--bad-page); border: 1px solid var(--bad-line); border-radius: 9px; }
dl { margin: 0 0 20px; display: grid; grid-template-columns: auto 1fr; gap: 4px 14px; font-size: .9375rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0 0 20px; padding-left: 1.2em; }
.done { width: 46px; height: 46px; margin: 0 0 14px; color: var(--good); }
footer { max-width: 25rem; margin-top: 18px; color: var(--quiet); font-size: .8125rem; text-align: center; overflow-wrap: anywhere; }
@media (max-width: 27rem) { body { justify-content: flex-start; } main { padding: 24px 20px; } }
`;
