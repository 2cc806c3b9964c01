import { styleText } from 'node:util';
import { PandaError } from '../protocol/errors.ts';

/** A command's exit status: done, refused or failed, used wrongly. */
export const EXIT_OK = 0;
export const EXIT_REFUSED = 1;
export const EXIT_USAGE = 2;

/** A command line that makes no sense: exit status 2. */
export class UsageError extends Error {}

/** A line as PanDA's tools print it, on standard output: `INFO : OK`. */
export function info(message: string): void {
  process.stdout.write(`INFO : ${printable(message)}\n`);
}

/** Something that the user should know and that stops nothing, on standard error. */
export function warn(message: string): void {
  process.stderr.write(`${styled('yellow', 'WARNING', process.stderr)} : ${printable(message)}\n`);
}

export function fail(message: string): void {
  process.stderr.write(`${styled('red', 'ERROR', process.stderr)} : ${printable(message)}\n`);
}

/** A remark that is not part of the result, on standard error. */
export function note(message: string): void {
  process.stderr.write(`${printable(message)}\n`);
}

/** The result for a program to read. */
export function printJson(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
}

/** Text in a style where the stream is a terminal that shows it: `NO_COLOR`, pipes and dumb terminals are respected. */
export function styled(style: Parameters<typeof styleText>[0], text: string, stream: NodeJS.WriteStream): string {
  if (isDumb()) return text;
  return styleText(style, text, { stream, validateStream: true });
}

/** True for a terminal that moves its cursor: a line there can be overwritten. */
export function isLiveTerminal(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !isDumb();
}

function isDumb(): boolean {
  return process.env['TERM'] === 'dumb';
}

// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that turn the direction of writing.
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]/g;
const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text from elsewhere, with whatever could drive the terminal written as an escape: one line, and only letters. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (sign) => {
    const code = sign.charCodeAt(0);
    return SHORT_ESCAPES[sign] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

/** Says why a command failed, as `say` puts it, and answers its exit status. */
export function reportFailure(error: unknown, program: string, say = fail): number {
  if (error instanceof UsageError) {
    say(error.message);
    return EXIT_USAGE;
  }
  if (error instanceof PandaError) {
    say(error.message);
    return EXIT_REFUSED;
  }
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof Error && error.name === 'ExitPromptError') return 130; // Ctrl-C at a question, as shells count it
  // The message of an unforeseen error may quote what it choked on, and that may be a secret: the place has to do.
  const place = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  say(`${program} has a fault (${code ?? (error as Error)?.name}); please report it with these lines`);
  process.stderr.write(`${place.join('\n')}\n`);
  return EXIT_REFUSED;
}

/** Ends quietly when the reader of a pipe has seen enough (`pbook show | head -1`). */
export function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT_OK);
  });
}
