const COLUMNS = 104;
const ROWS = 22;
const CHAR_WIDTH = 8.43;
const LINE_HEIGHT = 20;
const PADDING = 18;

/** Seconds for which a line is the last one: a comment is read, a command is looked at before it is run. */
const SECONDS = { comment: 2.6, command: 1.4, answer: 0.35 };
const LAST_SECONDS = 6;

/**
 * An SVG that plays lines as a terminal shows them: the newest at the bottom, light or dark as the reader's machine is. It runs no script.
 * A reader who wants no movement is shown the end.
 */
export function playedSvg(lines: readonly string[], title: string): string {
  const rows = lines.flatMap(wrapped);
  const begins: number[] = [];
  let time = 0;
  for (const { kind, goesOn } of rows) {
    begins.push(time);
    if (!goesOn) time += SECONDS[kind];
  }
  const total = time + LAST_SECONDS;
  const at = (row: number) => `transform:translateY(${(ROWS - 1 - row) * LINE_HEIGHT}px)`;
  const steps = rows.flatMap(({ goesOn }, row) =>
    goesOn ? [] : [`${(((begins[row] ?? 0) / total) * 100).toFixed(2)}%{${at(row)}}`],
  );
  const texts = rows.map(
    ({ text, kind }, row) =>
      `<text x="${PADDING}" y="${PADDING + 15 + row * LINE_HEIGHT}" class="${kind}">${escaped(text)}</text>`,
  );
  const width = Math.ceil(COLUMNS * CHAR_WIDTH + 2 * PADDING);
  const height = ROWS * LINE_HEIGHT + 2 * PADDING;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<style>
.page{fill:#fff;stroke:#cfd6e0}text{font:14px ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#18202b}
.command{font-weight:700}.comment{fill:#17693c}
@media (prefers-color-scheme:dark){.page{fill:#10151c;stroke:#374353}text{fill:#e8edf4}.comment{fill:#7fdca6}}
.lines{${at(rows.length - 1)};animation:play ${total.toFixed(1)}s step-end infinite}
@media (prefers-reduced-motion:reduce){.lines{animation:none}}
@keyframes play{${steps.join('')}100%{${at(rows.length - 1)}}}
</style>
<rect class="page" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="12"/>
<clipPath id="window"><rect x="0" y="${PADDING}" width="${width}" height="${ROWS * LINE_HEIGHT}"/></clipPath>
<g clip-path="url(#window)"><g class="lines">
${texts.join('\n')}
</g></g>
</svg>
`;
}

interface Row {
  text: string;
  kind: keyof typeof SECONDS;
  /** The line goes on in the next row. */
  goesOn: boolean;
}

function wrapped(line: string): Row[] {
  const kind = line.startsWith('# ') ? 'comment' : line.startsWith('$ ') ? 'command' : 'answer';
  const pieces = line.match(new RegExp(`.{1,${COLUMNS}}`, 'gu')) ?? [''];
  return pieces.map((text, place) => ({ text, kind, goesOn: place < pieces.length - 1 }));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
