// The thread in which Python runs. It may run for ever: the main thread stays free for the terminal, and interrupts it.

import { readSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { mountHostFolders } from './host-folders.ts';
import { ANSWERS, type FromPython, INTERRUPT, type PythonSettings, type Request } from './messages.ts';
import { addSources, bootPython, type Python } from './python.ts';
import { cachedSnapshot, readSnapshot } from './snapshot.ts';

const settings = workerData as PythonSettings;
const { files } = settings;
/** The wait before the other end of a pipe is tried again. */
const RETRY_MS = 5;

const flags = new Int32Array(settings.flags);
if (!parentPort) throw new Error('this file runs as a thread');
const port = parentPort;

const python = await boot();
connect(python);
const prompt = python.pyimport('pbook_console');
prompt.start(
  { call, sleep },
  JSON.stringify({ environment: process.env, arguments: settings.arguments, terminal: settings.terminal }),
);
port.on('message', (request: Request) => tell({ kind: 'result', id: request.id, value: carryOut(request) }));

/** From a snapshot where there is one that fits, which is a matter of speed only. */
async function boot(): Promise<Python> {
  try {
    const snapshot =
      files.snapshot ?? (files.cache && (await cachedSnapshot(files.pyodide, files.sources, files.cache)));
    if (snapshot) return await bootPython(files.pyodide, await readSnapshot(snapshot));
  } catch {
    // Damaged, or of another Pyodide.
  }
  const python = await bootPython(files.pyodide);
  addSources(python, files.sources);
  return python;
}

function connect(python: Python): void {
  mountHostFolders(python.FS, process.cwd());
  // The process's own streams, used in this thread: code that prints without end waits for the reader.
  python.setStdin({ read: (bytes) => retry(() => readSync(0, bytes)), isatty: isatty(0) });
  python.setStdout({ write: (bytes) => retry(() => writeSync(1, bytes)), isatty: isatty(1) });
  python.setStderr({ write: (bytes) => retry(() => writeSync(2, bytes)), isatty: isatty(2) });
  python.setInterruptBuffer(flags);
}

function carryOut(request: Request): string {
  try {
    switch (request.do) {
      case 'feed':
        return prompt.feed(request.source, request.complete);
      case 'run':
        return prompt.run(request.source, request.fileName);
      case 'split':
        return prompt.split(request.text);
      case 'complete':
        return prompt.complete(request.line);
    }
  } catch (error) {
    // Ctrl-C in the moment before or after what was run.
    if ((error as { type?: unknown }).type !== 'KeyboardInterrupt') throw error;
    return 'interrupted';
  }
}

/** Has the main thread do what only it can, and waits for that. Called by Python, with and for JSON texts. */
function call(name: string, argumentsText: string, folder: string): string {
  tell({ kind: 'call', name, arguments: JSON.parse(argumentsText), folder });
  for (;;) {
    const answers = Atomics.load(flags, ANSWERS);
    const received = receiveMessageOnPort(port);
    if (received) return JSON.stringify(received.message);
    Atomics.wait(flags, ANSWERS, answers);
  }
}

/** Sleeps until the time is over or the user interrupts. */
function sleep(milliseconds: number): void {
  Atomics.wait(flags, INTERRUPT, 0, milliseconds);
}

/** Waits for the other end where a pipe is of the kind that never does. */
function retry(work: () => number): number {
  for (;;) {
    try {
      return work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN' || Atomics.load(flags, INTERRUPT) !== 0) throw error;
      sleep(RETRY_MS);
    }
  }
}

function tell(message: FromPython): void {
  port.postMessage(message);
}
