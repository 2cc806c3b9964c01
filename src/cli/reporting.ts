import { styleText } from 'node:util';
import { PandaError } from '../protocol/errors.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';

/** A command's exit status: done, refused or failed, used wrongly. */
export const EXIT_OK = 0;
export const EXIT_REFUSED = 1;
export const EXIT_USAGE = 2;

/** A process that Ctrl-C ended, as shells count it. */
export const EXIT_INTERRUPTED = 130;

/** A command line that makes no sense: exit status 2. */
export class UsageError extends Error {}

/** Somebody answered a question with no: nothing was done, and that is no success. */
export class Declined extends Error {}

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

/**
 * The result for a program to read. Every one has the shape of the server's answers (`docs/output.md`).
 *
 * @param success false where it did not go as it was asked for: the exit status is not 0 then
 */
export function printJson(data: unknown, { message = 'OK', success = true } = {}): void {
  process.stdout.write(`${JSON.stringify({ success, message, data }, null, 2)}\n`);
}

/** The failure of a command, for a program to read. */
export function printJsonFailure(error: unknown): void {
  const { code, message } = failureOf(error);
  process.stdout.write(`${JSON.stringify({ success: false, message, data: null, code }, null, 2)}\n`);
}

/** True when a command line asks for results that a program reads. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  return words.includes('--json') || words.includes('format=json');
}

/** The stable code of a failure, and its message where that may be shown. */
function failureOf(error: unknown): { code: string; message: string } {
  if (error instanceof PandaError) return { code: error.code, message: error.message };
  if (error instanceof UsageError) return { code: 'ERR_USAGE', message: error.message };
  if (error instanceof Declined) return { code: 'ERR_DECLINED', message: error.message };
  if (isInterrupted(error)) return { code: 'ERR_INTERRUPTED', message: 'interrupted' };
  return { code: 'ERR_FAULT', message: `a fault (${faultOf(error)})` };
}

/** Ctrl-C at a question. */
function isInterrupted(error: unknown): boolean {
  return error instanceof Error && error.name === 'ExitPromptError';
}

function faultOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error)?.name ?? 'unknown';
}

/** The columns that output may take: those of the terminal, of `COLUMNS` where it goes elsewhere, or 80. */
export function outputWidth(): number {
  const { columns = 0 } = process.stdout;
  const told = columns || Number(process.env['COLUMNS']);
  return told > 0 ? Math.max(told, LEAST_WIDTH) : 80;
}

/** Below that nothing can be laid out. */
const LEAST_WIDTH = 40;

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
    say(error instanceof SealedRefusal ? `${error.message} (${error.code})` : error.message);
    return EXIT_REFUSED;
  }
  if (error instanceof Declined) {
    note(error.message);
    return EXIT_REFUSED;
  }
  if (isInterrupted(error)) return EXIT_INTERRUPTED;
  // The message of an unforeseen error may quote what it choked on, and that may be a secret: the place has to do.
  const place = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  say(`${program} has a fault (${faultOf(error)}); please report it with these lines`);
  process.stderr.write(`${place.join('\n')}\n`);
  return EXIT_REFUSED;
}

/**
 * Ends quietly when the reader of a pipe has seen enough (`pbook show | head -1`), and with one line when the result cannot be written
 * otherwise: a full disk, say.
 */
export function endOnUnwritableOutput(say = fail): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Who else listens will say more of it: there a part of the result is of no use.
    if (process.stdout.listenerCount('error') > 1) return;
    if (error.code === 'EPIPE') process.exit(EXIT_OK);
    say(`the output cannot be written: ${error.code === 'ENOSPC' ? 'the disk is full' : error.code} (standard output)`);
    process.exit(EXIT_REFUSED);
  });
}
