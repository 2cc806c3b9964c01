import { Worker } from 'node:worker_threads';
import { Unavailable } from '../../../protocol/errors.ts';
import { ANSWERS, type Answer, type FromPython, INTERRUPT, type PythonSettings, type Request } from './messages.ts';
import { runtimeFiles } from './runtime-files.ts';

/**
 * Does what Python asks of the process: a command, or a line from the terminal.
 *
 * @param folder Python's current one
 * @param signal the user stops it
 */
export type CarryOut = (
  name: string,
  argumentsGiven: Record<string, unknown>,
  folder: string,
  signal: AbortSignal,
) => Promise<Answer>;

/** The end of a statement or a script. `more`: it is not whole yet. `interrupted`: before it could say so itself. */
export type Outcome = { state: 'more' | 'done' | 'interrupted' } | { state: 'exit'; status: number };

/** Python in a thread of its own; one thing at a time. Every call throws Unavailable when the thread died. */
export interface Interpreter {
  /** Runs one statement. `complete`: nothing follows, so that a block need not be ended by a blank line. */
  feed(source: string, complete: boolean): Promise<Outcome>;
  /** Runs a whole script. */
  run(source: string, fileName: string): Promise<Outcome>;
  /** The first and last lines of the statements of a text, from 1; undefined when the text is not Python. */
  split(text: string): Promise<[first: number, last: number][] | undefined>;
  /** The completions of the end of the line: the part to replace, and its replacements. */
  complete(line: string): Promise<{ from: string; to: string[] }>;
  /** Ctrl-C: KeyboardInterrupt in what runs. A function in C may not hear it: after some more of them Python is stopped. */
  interrupt(): void;
  close(): Promise<void>;
}

const SIGINT = 2;
/** The number of interrupts after the first that may go unheard. */
const PATIENCE = 3;

/** Starts the thread, and does not wait until it is ready. */
export function startInterpreter(options: { carryOut: CarryOut; arguments: string[]; terminal: boolean }): Interpreter {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const files = runtimeFiles();
  const settings: PythonSettings = {
    files,
    arguments: options.arguments,
    terminal: options.terminal,
    flags: flags.buffer as SharedArrayBuffer,
  };
  const thread = new Worker(files.thread, {
    workerData: settings,
    // Python's own limits end a recursion before the stack does, with this much of it.
    resourceLimits: { stackSizeMb: 64 },
  });
  const waiting = new Map<number, PromiseWithResolvers<string>>();
  let stopped: Unavailable | undefined;
  let call: AbortController | undefined;
  let lastId = 0;
  let unheard = 0;

  thread.on('message', (message: FromPython) => {
    if (message.kind === 'result') {
      waiting.get(message.id)?.resolve(message.value);
      waiting.delete(message.id);
    } else {
      void answer(message);
    }
  });
  thread.on('error', stop);
  thread.on('exit', () => stop(undefined));

  async function answer({ name, arguments: given, folder }: FromPython & { kind: 'call' }): Promise<void> {
    call = new AbortController();
    const { signal } = call;
    const aborted = new Promise<Answer>((resolve) => {
      signal.addEventListener('abort', () => resolve({ ok: false, interrupted: true }));
    });
    const done = await Promise.race([options.carryOut(name, given, folder, signal), aborted]);
    call = undefined;
    thread.postMessage(done);
    Atomics.add(flags, ANSWERS, 1);
    Atomics.notify(flags, ANSWERS);
  }

  function stop(error: unknown): void {
    const reason = error instanceof Error ? ` (${error.message})` : '';
    stopped ??= new Unavailable(`Python has stopped${reason}; start pbook again`, { cause: error });
    for (const { reject } of waiting.values()) reject(stopped);
    waiting.clear();
  }

  function ask(
    request: Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never,
  ): Promise<string> {
    if (stopped) return Promise.reject(stopped);
    Atomics.store(flags, INTERRUPT, 0); // one that came when nothing ran
    const id = ++lastId;
    const result = Promise.withResolvers<string>();
    waiting.set(id, result);
    thread.postMessage({ id, ...request });
    return result.promise;
  }

  return {
    feed: async (source, complete) => outcome(await ask({ do: 'feed', source, complete })),
    run: async (source, fileName) => outcome(await ask({ do: 'run', source, fileName })),
    split: async (text) => JSON.parse(await ask({ do: 'split', text })) ?? undefined,
    complete: async (line) => JSON.parse(await ask({ do: 'complete', line })),
    interrupt() {
      if (call) return call.abort();
      unheard = Atomics.load(flags, INTERRUPT) === 0 ? 0 : unheard + 1;
      if (unheard === PATIENCE) {
        stop(new Error('it did not react to Ctrl-C'));
        return;
      }
      Atomics.store(flags, INTERRUPT, SIGINT);
      Atomics.notify(flags, INTERRUPT);
    },
    async close() {
      await thread.terminate();
    },
  };
}

function outcome(answer: string): Outcome {
  const [state, status] = answer.split(' ');
  if (state === 'exit') return { state, status: Number(status) };
  return { state: state as 'more' | 'done' | 'interrupted' };
}
