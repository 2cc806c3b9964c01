import { once } from 'node:events';
import { constants } from 'node:os';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { LEFTOVER_GRACE_SECONDS } from '../protocol/limits.ts';
import { type Launch, type LaunchOptions, startLaunch } from './launch.ts';
import { endProcesses, MARK_VARIABLE, type ProcessTree } from './process-tree.ts';

export interface PayloadOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** Absolute path of the working directory. */
  directory: string;
  /** See {@link LaunchOptions}. */
  pipesIn: string;
  /** Isolates it, see `Isolation.launch`. */
  isolate?: ((words: readonly string[]) => Launch) | undefined;
  /** Says how all of that is started, outside of the isolation and as the same process. */
  confine?: ((words: readonly string[]) => string[]) | undefined;
  /** The whole environment; nothing of the pilot's own is added. */
  environment: Readonly<Record<string, string>>;
  /** Marks the payload's processes, see {@link MARK_VARIABLE}. */
  mark: string;
  /** They take its output; both are ended. */
  stdout: Writable;
  stderr: Writable;
  /**
   * It is in this process's session and process group, as what a shell starts: Ctrl-C is for both. What nobody takes of its output it
   * cannot write. Otherwise it has nothing to read, a session of its own, and writes all that it wants to.
   */
  foreground?: Pick<LaunchOptions, 'input'>;
}

export interface PayloadEnd {
  /** The exit status; 128 and the signal's number for one that ended by a signal, as in a shell. */
  exitCode: number;
  signal: NodeJS.Signals | undefined;
  /** `false` when a process of the payload could not be ended. */
  allGone: boolean;
}

export interface Payload {
  /** Its processes. */
  readonly tree: ProcessTree;
  /** Sends a signal to its first process alone. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when every process of the payload is gone. Rejects when it cannot be started. */
  readonly gone: Promise<PayloadEnd>;
  /** The same, when its output is written as well. */
  readonly ended: Promise<PayloadEnd>;
  /** Ends the whole process tree: TERM, `graceSeconds`, KILL. May be called at any time, more than once. */
  stop(graceSeconds: number): void;
}

/** The command is in positional parameters of the launcher, so that the launcher has nothing to quote. No core files. */
const LAUNCHER = 'ulimit -c 0; exec "$@"';

/** Output that is still held open by something that survived is given up after this. */
const DRAIN_SECONDS = 5;

/** Starts a payload, as the leader of a session of its own unless it is in the foreground. */
export function startPayload(options: PayloadOptions): Payload {
  const inForeground = options.foreground !== undefined;
  const { child, stdout, stderr } = launch(options);
  const tree: ProcessTree = {
    mark: options.mark,
    isolated: options.isolate !== undefined,
    ...(child.pid === undefined || inForeground ? {} : { leader: child.pid }),
  };
  const outputs = [carry(stdout, options.stdout, { inForeground }), carry(stderr, options.stderr, { inForeground })];
  let stopping: Promise<boolean> | undefined;

  const goOut = async (): Promise<PayloadEnd> => {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    const askedToStop = await stopping;
    const allGone = askedToStop ?? (await endProcesses(tree, LEFTOVER_GRACE_SECONDS));
    const exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
    return { exitCode, signal: signal ?? undefined, allGone };
  };

  const gone = goOut();
  const ended = gone.then(
    async (end) => {
      await Promise.all(outputs.map((output) => output.drained()));
      return end;
    },
    (error: unknown) => {
      for (const output of [options.stdout, options.stderr]) output.end();
      throw error;
    },
  );
  return {
    tree,
    signal: (name) => void child.kill(name),
    gone,
    ended,
    stop(graceSeconds) {
      stopping ??= endProcesses(tree, graceSeconds);
    },
  };
}

function launch({
  command,
  directory,
  isolate,
  confine = (all) => [...all],
  environment,
  mark,
  stdout,
  stderr,
  foreground,
  pipesIn,
}: PayloadOptions) {
  const words = ['/bin/sh', '-c', LAUNCHER, 'sh', ...command];
  try {
    const { words: all, inputs } = isolate ? isolate(words) : { words, inputs: [] };
    return startLaunch(
      { words: confine(all), inputs },
      {
        cwd: directory,
        pipesIn,
        env: { ...environment, [MARK_VARIABLE]: mark },
        ...foreground,
        detached: foreground === undefined,
      },
    );
  } catch (error) {
    stdout.end();
    stderr.end();
    throw error;
  }
}

/**
 * Carries a pipe's bytes to `target` and ends it, at the latest a while after {@link drained} was called. In the foreground the reader
 * of them decides: one that takes its time is waited for, and a pipe whose bytes nobody takes is closed.
 */
function carry(
  source: Readable,
  target: Writable,
  { inForeground }: { inForeground: boolean },
): { drained(): Promise<void> } {
  const bytes = new PassThrough();
  source.on('error', () => bytes.end());
  source.pipe(bytes).pipe(target);
  const written = finished(target, { readable: false });
  written.catch(() => (inForeground ? source.destroy() : bytes.resume()));
  return {
    async drained() {
      const given = new AbortController();
      const giveUp = (async () => {
        do await delay(DRAIN_SECONDS * 1000, undefined, { signal: given.signal });
        while (inForeground && (bytes.readableLength > 0 || target.writableLength > 0));
        source.unpipe(bytes);
        source.destroy();
        bytes.end();
      })().catch(() => {});
      await written.catch(() => {});
      given.abort();
      await giveUp;
    },
  };
}
