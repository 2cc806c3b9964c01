import { closeSync, fstatSync, openSync } from 'node:fs';
import { type DestinationStream, type Logger, pino, symbols } from 'pino';
import { Misconfigured } from '../protocol/errors.ts';

/** Log lines are written together, at the latest after this long or at so many bytes: each write wakes another thread. */
const FLUSH_MILLISECONDS = 250;
const FLUSH_BYTES = 32 * 1024;
/** Lines that cannot be written wait in memory, up to so many bytes; later ones are lost. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** So much goes into a pipe in one go (pipe(7)), so that lines of several processes stay whole. What is added to a file always does, and what journald reads. */
const WHOLE_WRITE_BYTES = 4096;
const STANDARD_ERROR = 2;
/** Lines have no secret; the group is that of people who read logs. */
const FILE_MODE = 0o640;

export interface Log {
  logger: Logger;
  /** Opens its file anew, after something else renamed that. A log without a file has nothing to open. */
  reopen(): void;
  /** Writes what is still in memory. */
  stop(): Promise<void>;
}

export interface LogPlace {
  /** A file, made with mode 0640, that lines are added to; standard error unless set. */
  file?: string | undefined;
  /** Told of a file that cannot be opened or written, once for each reason. @param code of the system */
  onTrouble?: (code: string) => void;
  /** `JOURNAL_STREAM` says whether standard error is journald's. */
  environment?: NodeJS.ProcessEnv;
  /** Other processes of this server write it as well. */
  isShared?: boolean;
}

/** The server's log: one JSON object a line. @throws {Misconfigured} when its file cannot be opened */
export function openLog(
  level: string,
  { file, onTrouble = () => {}, environment = {}, isShared = false }: LogPlace = {},
): Log {
  if (file !== undefined) refuseUnusable(file);
  const isPipe = file === undefined && fstatSync(STANDARD_ERROR).isFIFO();
  const most = isShared && isPipe ? WHOLE_WRITE_BYTES : 2 * FLUSH_BYTES;
  const buffering = { minLength: most / 2, maxWrite: most, periodicFlush: FLUSH_MILLISECONDS };
  const stream = pino.destination({
    ...(file === undefined ? { fd: STANDARD_ERROR } : { dest: file, append: true, mode: FILE_MODE }),
    maxLength: MAX_WAITING_BYTES,
    sync: false,
    // Of strings that wait it would count the bytes anew at each line.
    contentMode: 'buffer',
    ...buffering,
  });
  const told = new Set<string>();
  stream.on('error', ({ code = 'ERR_UNKNOWN', syscall }: NodeJS.ErrnoException) => {
    // Of a file that was not opened: when one is, each would close the same descriptor, which may be another file's by then.
    if (syscall === 'open') stream.removeAllListeners('ready');
    // A log that cannot be written ends no server. The next line is tried again.
    if (!told.has(code)) onTrouble(code);
    told.add(code);
  });
  const isJournal = file === undefined && isJournals(environment);
  return {
    logger: createLogger(level, isJournal ? withPriority(stream) : { write: (line) => writeLine(stream, line) }),
    reopen() {
      told.clear();
      if (file !== undefined) stream.reopen();
    },
    // Not `flushSync`, which tries for ever when the reader of the log is gone.
    stop: () =>
      new Promise((resolve) => {
        stream.once('error', () => resolve());
        stream.flush(() => resolve());
      }),
  };
}

/** A logger of lines as a server writes them. @internal */
export function createLogger(level: string, destination: DestinationStream): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

function refuseUnusable(file: string): void {
  try {
    closeSync(openSync(file, 'a', FILE_MODE));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(
      `the log file ${file} cannot be opened (${code}): make its folder, for the server's user to write`,
    );
  }
}

/** Standard error is the stream that systemd connected to journald (systemd.exec(5)), and not what somebody put in its place. */
function isJournals({ JOURNAL_STREAM: stream }: NodeJS.ProcessEnv): boolean {
  if (!stream) return false;
  const { dev, ino } = fstatSync(STANDARD_ERROR);
  return stream === `${dev}:${ino}`;
}

type Stream = ReturnType<typeof pino.destination>;

function writeLine(stream: Stream, line: string): void {
  // Its type knows strings alone, which it does not take in this mode.
  stream.write(Buffer.from(line, 'utf8') as unknown as string);
}

/** Levels of pino as those of syslog: sd-daemon(3). */
const PRIORITIES: Readonly<Record<number, number>> = { 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };

/** Begins each line with its priority, which journald takes off and keeps as a field. */
function withPriority(stream: Stream): DestinationStream {
  return {
    // Pino sets `lastLevel` before each line of a stream that asks for it.
    [symbols.needsMetadataGsym]: true,
    lastLevel: 30,
    write(line: string) {
      writeLine(stream, `<${PRIORITIES[this.lastLevel] ?? PRIORITIES[30]}>${line}`);
    },
  } as DestinationStream & { lastLevel: number };
}
