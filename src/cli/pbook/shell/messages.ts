// The messages between the two threads of the shell: the main thread, which has the terminal and the commands, and the
// Python thread, which has the interpreter.

import type { RuntimeFiles } from './runtime-files.ts';

/** Where the Python thread starts from. */
export interface PythonSettings {
  files: RuntimeFiles;
  /** `sys.argv` */
  arguments: string[];
  /** True when standard input is a terminal, whose lines the main thread reads. */
  terminal: boolean;
  /** Two 32-bit integers, see {@link INTERRUPT} and {@link ANSWERS}. */
  flags: SharedArrayBuffer;
}

/** Index into the flags: 2 (SIGINT) asks the interpreter to raise KeyboardInterrupt; it sets it back to 0. */
export const INTERRUPT = 0;
/** Index into the flags: counts the answers to calls, so that the Python thread can wait for one. */
export const ANSWERS = 1;

/** The requests of the main thread; each is answered by one `Result` of the same id. */
export type Request =
  | { id: number; do: 'feed'; source: string; complete: boolean }
  | { id: number; do: 'run'; source: string; fileName: string }
  | { id: number; do: 'split'; text: string }
  | { id: number; do: 'complete'; line: string };

/** The messages of the Python thread. */
export type FromPython =
  | { kind: 'result'; id: number; value: string }
  | { kind: 'call'; name: string; arguments: Record<string, unknown>; folder: string };

/**
 * The main thread's answer to a call. `ok: false` means that the command was refused or failed, and has said so.
 * `interrupted`: the user stopped it. No `result` for a line means the end of input.
 */
export interface Answer {
  ok: boolean;
  result?: unknown;
  interrupted?: boolean;
}
