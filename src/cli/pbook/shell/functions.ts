import { Socket } from 'node:net';
import { clearLine, cursorTo, moveCursor } from 'node:readline';
import { Writable } from 'node:stream';
import { WriteStream } from 'node:tty';
import { PandaError } from '../../../protocol/errors.ts';
import { noTerminal, PASSPHRASE_PROMPT, passphrases } from '../../own-keys.ts';
import { reportFailure, UsageError } from '../../reporting.ts';
import { COMMANDS } from './commands.ts';

/** A request of `python/pbook/_link.py`. */
interface Request {
  call: string;
  arguments: Record<string, unknown>;
  /** Python's current one; empty where there is none. */
  folder: string;
  /** Variables that changed since the last request; null for one that was removed. */
  environment: Record<string, string | null>;
  /** The columns of Python's output streams, 0 for one that is no terminal. */
  terminal: { out: number; err: number };
}

/**
 * Carries out what a Python asks for, the process that has the other end of standard input: one request at a time, each a line of JSON.
 * The output of a command goes back as it comes, since Python's output may be a notebook. It ends with its Python, and in the middle of a command when that is
 * interrupted.
 */
export function serveFunctions(): void {
  const link = new Socket({ fd: 0, readable: true, writable: true });
  const screens = { out: new Screen('out', link), err: new Screen('err', link) };
  // A command knows these three alone.
  for (const [name, value] of Object.entries({ stdin: { isTTY: false }, stdout: screens.out, stderr: screens.err })) {
    Object.defineProperty(process, name, { value });
  }
  const end = () => process.exit();
  link.on('end', end).on('close', end).on('error', end);

  let answered: ((line: string) => void) | undefined;
  passphrases.unlocked = new Map();
  passphrases.ask = async () => {
    const line = new Promise<string>((resolve) => {
      answered = resolve;
    });
    link.write(`${JSON.stringify({ ask: PASSPHRASE_PROMPT })}\n`);
    const { answer } = JSON.parse(await line) as { answer: string | null };
    if (answer === null) throw noTerminal();
    return answer;
  };

  let received = '';
  let last = Promise.resolve();
  link.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (received + chunk).split('\n');
    received = lines.pop() ?? '';
    for (const line of lines) {
      // Python waits for its command, and sends nothing else meanwhile.
      const waiting = answered;
      answered = undefined;
      if (waiting) {
        waiting(line);
        continue;
      }
      last = last.then(async () => {
        const answer = await carryOut(JSON.parse(line) as Request, screens);
        await Promise.all([drained(screens.out), drained(screens.err)]);
        link.write(`${JSON.stringify(answer)}\n`);
      });
    }
  });
}

async function carryOut(
  { call, arguments: { silent, ...given }, folder, environment, terminal }: Request,
  screens: { out: Screen; err: Screen },
): Promise<object> {
  for (const [name, value] of Object.entries(environment)) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
  enter(folder);
  screens.out.begin(terminal.out, silent === true);
  screens.err.begin(terminal.err, false);
  try {
    const command = Object.hasOwn(COMMANDS, call) ? COMMANDS[call] : undefined;
    if (!command) throw new UsageError(`pbook has no function ${call}`);
    return { result: (await command(given)) ?? null };
  } catch (error) {
    const code = error instanceof PandaError ? error.code : error instanceof UsageError ? 'ERR_USAGE' : 'ERR_FAULT';
    let message = '';
    reportFailure(error, 'pbook', (text) => {
      message = text;
    });
    return { error: { code, message } };
  }
}

/** Relative paths mean Python's folder; where that is gone they have no meaning, and a command says what it cannot find. */
function enter(folder: string): void {
  try {
    if (folder !== '' && folder !== process.cwd()) process.chdir(folder);
  } catch {
    // Stays.
  }
}

/** Waits until all that was printed is on its way. */
async function drained(screen: Screen): Promise<void> {
  await new Promise((resolve) => screen.write('', resolve));
}

/** An output stream of Python's. */
class Screen extends Writable {
  isTTY = false;
  columns = 0;
  getColorDepth = WriteStream.prototype.getColorDepth;
  hasColors = WriteStream.prototype.hasColors;
  readonly #name: string;
  readonly #link: Socket;
  #isSilent = false;

  constructor(name: 'out' | 'err', link: Socket) {
    super({ decodeStrings: true });
    this.#name = name;
    this.#link = link;
  }

  /** For a command. @param columns 0 where it is no terminal */
  begin(columns: number, isSilent: boolean): void {
    this.isTTY = columns > 0;
    this.columns = columns;
    this.#isSilent = isSilent;
  }

  clearLine(direction: -1 | 0 | 1, done?: () => void): boolean {
    return clearLine(this, direction, done);
  }

  cursorTo(x: number, y?: number, done?: () => void): boolean {
    return cursorTo(this, x, y, done);
  }

  moveCursor(dx: number, dy: number, done?: () => void): boolean {
    return moveCursor(this, dx, dy, done);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    // A character for a byte: a log need not be text, and a piece of one may end in the middle of a character.
    if (this.#isSilent || chunk.length === 0) done();
    else this.#link.write(`${JSON.stringify({ [this.#name]: chunk.toString('latin1') })}\n`, done);
  }
}
