import { type AsyncCompleter, createInterface, type Interface } from 'node:readline';
import { PassThrough, Writable } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import { type Piece, plainText } from './paste.ts';
import { createInputParser, type Input } from './typed-input.ts';

/** A line that was read, or the reason why there is none. `below`: it begins a pasted statement, of which these are the other lines. `end`: Ctrl-D. */
export type Typed = { kind: 'line'; text: string; below?: string[] } | { kind: 'interrupt' } | { kind: 'end' };

export interface ReadOptions {
  prompt: string;
  /** Earlier lines, newest first. */
  history?: readonly string[];
  completer?: AsyncCompleter;
  /** Shows nothing of what is typed. */
  hidden?: boolean;
  /** Makes pieces of a text that is pasted into the empty line; otherwise it counts as typed. */
  arrange?(pasted: string): Promise<Piece[]>;
}

/** As shells count Ctrl-\\. */
const EXIT_QUIT = 131;

/** The terminal's keyboard. What is typed while nobody reads waits for the next reader, Ctrl-C excepted. */
export interface Keyboard {
  /** Reads a line with the line editor; one at a time. */
  read(options: ReadOptions): Promise<Typed>;
  close(): void;
}

interface Reader {
  options: ReadOptions;
  editor: Interface;
  keys: PassThrough;
  /** Its line is complete, or a paste is being arranged: no more keys for now. */
  busy: boolean;
  below?: string[];
}

/**
 * Takes the terminal over: every key comes here, and `close` gives it back.
 *
 * @param onInterrupt Ctrl-C while no line is read
 */
export function openKeyboard(input: ReadStream, output: WriteStream, onInterrupt: () => void): Keyboard {
  const parse = createInputParser();
  const marksPastes = process.env['TERM'] !== 'dumb';
  let pending: (Input | Piece)[] = [];
  let reader: Reader | undefined;

  const take = (on: boolean) => {
    input.setRawMode(on);
    if (marksPastes) output.write(on ? '\u001b[?2004h' : '\u001b[?2004l');
  };
  const receive = (chunk: string) => {
    for (const piece of parse(chunk)) {
      if ('signal' in piece) act(piece.signal);
      else pending.push(piece);
    }
    pump();
  };
  const resume = () => {
    take(true);
    reader?.editor.prompt(true);
  };
  const end = () => reader?.editor.close();

  input.setEncoding('utf8').on('data', receive).on('end', end);
  process.on('SIGCONT', resume);
  take(true);

  function act(signal: 'SIGINT' | 'SIGTSTP' | 'SIGQUIT'): void {
    if (signal === 'SIGINT') {
      pending = []; // as a terminal does
      if (reader) reader.keys.write('\u0003');
      else onInterrupt();
    } else if (signal === 'SIGTSTP') {
      take(false);
      process.kill(process.pid, signal);
    } else {
      // Leaves at once, and without the memory dump that the signal itself would make.
      take(false);
      process.exit(EXIT_QUIT);
    }
  }

  /** Feeds the reader up to the end of its line. */
  function pump(): void {
    while (reader && !reader.busy) {
      const piece = pending.shift();
      if (piece === undefined) return;
      if ('statement' in piece) feedStatement(reader, piece.statement);
      else if ('keys' in piece) feedKeys(reader, piece.keys);
      else if ('text' in piece) feedText(reader, piece.text);
      else if ('paste' in piece) feedPaste(reader, piece.paste);
    }
  }

  function feedKeys(reader: Reader, keys: string): void {
    const end = /\r\n|\r|\n/.exec(keys);
    const length = end ? end.index + end[0].length : keys.length;
    if (length < keys.length) pending.unshift({ keys: keys.slice(length) });
    if (end) reader.busy = true;
    // The editor takes a Tab in the middle of other keys for a part of a text.
    for (const part of (end ? `${keys.slice(0, end.index)}\r` : keys).split(/(\t)/)) {
      if (part !== '') reader.keys.write(part);
    }
  }

  /** Text is no keys: a Tab in it stands for itself. */
  function feedText(reader: Reader, text: string): void {
    const end = text.indexOf('\n') + 1;
    if (end > 0) {
      reader.busy = true;
      if (end < text.length) pending.unshift({ text: text.slice(end) });
    }
    reader.editor.write(end > 0 ? text.slice(0, end) : text);
  }

  function feedStatement(reader: Reader, [first = '', ...below]: string[]): void {
    reader.busy = true;
    reader.below = below;
    reader.editor.write(`${first}\n`);
  }

  function feedPaste(reader: Reader, text: string): void {
    const { arrange } = reader.options;
    if (!arrange || reader.editor.line !== '') {
      pending.unshift({ text: plainText(text) });
      return;
    }
    reader.busy = true;
    const arranged = arrange(text).catch((): Piece[] => []);
    void arranged.then((pieces) => {
      pending.unshift(...pieces);
      reader.busy = false;
      pump();
    });
  }

  return {
    read: (options) =>
      new Promise((resolve) => {
        const keys = new PassThrough();
        const editor = createInterface({
          input: keys,
          output: options.hidden ? nowhere() : output,
          terminal: true,
          prompt: options.prompt,
          history: [...(options.history ?? [])],
          historySize: options.history ? options.history.length + 1 : 0,
          tabSize: 4,
          ...(options.completer && { completer: options.completer }),
        });
        const opened: Reader = { options, editor, keys, busy: false };
        const finish = (typed: Typed) => {
          reader = undefined;
          editor.close();
          if (options.hidden || typed.kind !== 'line') output.write('\n');
          resolve(typed);
        };
        editor.once('line', (text) => finish({ kind: 'line', text, ...(opened.below && { below: opened.below }) }));
        editor.once('SIGINT', () => finish({ kind: 'interrupt' }));
        editor.once('close', () => {
          if (reader === opened) finish({ kind: 'end' });
        });
        if (options.hidden) output.write(options.prompt);
        editor.prompt();
        reader = opened;
        pump();
      }),
    close() {
      input.off('data', receive).off('end', end);
      process.off('SIGCONT', resume);
      take(false);
      input.pause();
    },
  };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
