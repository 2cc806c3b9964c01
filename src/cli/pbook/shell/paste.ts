/** A piece of a pasted text: what counts as typed, or a whole statement whose lines belong together. */
export type Piece = { text: string } | { statement: string[] };

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
const PROMPT = /^\s*>>>(?: |$)/;
const MORE_PROMPT = /^\s*\.\.\.(?: |$)/;

/**
 * Takes a text that is pasted at the prompt apart into its statements, so that the empty lines in a block do not
 * end it. A last line without a line end waits for Enter. A text that is not Python as a whole counts as typed.
 *
 * @param split the first and last lines of the statements of a text, from 1
 */
export async function arrangePaste(
  pasted: string,
  split: (text: string) => Promise<[first: number, last: number][] | undefined>,
): Promise<Piece[]> {
  const { text, leftOut } = pastedCode(pasted);
  const statements = await split(text);
  if (!statements) return [{ text }];
  const lines = text.split('\n');
  const pieces = statements.map(([first, last]): Piece => {
    const statement = lines.slice(first - 1, last);
    return last === lines.length ? { text: statement.join('\n') } : { statement };
  });
  if (leftOut > 0) pieces.unshift({ statement: [`# pasted without the ${leftOut} lines that have no >>>`] });
  return pieces;
}

/** A pasted text with nothing in it that could act as a key, and `\n` for every line end. */
export function plainText(pasted: string): string {
  return pasted.replace(/\r\n?/g, '\n').replace(CONTROL, '');
}

/** A line as typed, without a prompt that was pasted along. */
export function withoutPrompt(line: string): string {
  return line.replace(PROMPT, '');
}

export function withoutMorePrompt(line: string): string {
  return line.replace(MORE_PROMPT, '');
}

interface PastedCode {
  /** Lines with `\n` after each; the last may stand without, and waits for Enter then. */
  text: string;
  /** The number of lines of a session that were left out, being its output or prose around it; 0 where it is no session. */
  leftOut: number;
}

/**
 * The code of a pasted text. Where it has lines with the prompt `>>> ` it is a session, such as a manual page or one's own
 * screen: then these lines, and `... ` directly below, are the code. Otherwise all of it is, moved to the left margin.
 */
function pastedCode(pasted: string): PastedCode {
  const lines = plainText(pasted).split('\n');
  return lines.some((line) => PROMPT.test(line)) ? ofSession(lines) : { text: dedent(lines), leftOut: 0 };
}

function ofSession(lines: readonly string[]): PastedCode {
  const code: string[] = [];
  let inStatement = false;
  let leftOut = 0;
  for (const line of lines) {
    if (PROMPT.test(line)) {
      code.push(withoutPrompt(line));
      inStatement = true;
    } else if (inStatement && MORE_PROMPT.test(line)) {
      code.push(withoutMorePrompt(line));
    } else {
      inStatement = false;
      if (line.trim() !== '') leftOut++;
    }
  }
  return { text: code.join('\n') + (inStatement ? '' : '\n'), leftOut };
}

function dedent(lines: readonly string[]): string {
  const margins = lines.filter((line) => line.trim() !== '').map((line) => /^[ \t]*/.exec(line)?.[0] ?? '');
  const margin = margins.reduce((common, next) => {
    let length = 0;
    while (length < common.length && common[length] === next[length]) length++;
    return common.slice(0, length);
  }, margins[0] ?? '');
  return lines.map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line.trimStart())).join('\n');
}
