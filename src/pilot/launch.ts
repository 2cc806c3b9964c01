import { type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** A program to start. */
export interface Launch {
  /** Its path or name, and its arguments, which every user of the machine can read. */
  words: readonly string[];
  /** Read from its descriptors: from 3 on, each to its end. Nobody else sees these. */
  inputs: readonly Uint8Array[];
}

export const FIRST_INPUT = 3;

/** Starts it with nothing on standard input. @throws as `spawn` does, which is not always by an event */
export function startLaunch(
  { words, inputs }: Launch,
  options: Omit<SpawnOptions, 'stdio'>,
): ChildProcessByStdio<null, Readable, Readable> {
  const [program = '', ...rest] = words;
  const pipes = inputs.map(() => 'pipe' as const);
  const child = spawn(program, rest, { ...options, stdio: ['ignore', 'pipe', 'pipe', ...pipes] });
  for (const [index, bytes] of inputs.entries()) {
    const input = child.stdio[FIRST_INPUT + index] as Writable;
    // A program that ends before it has read all says why itself.
    input.on('error', () => {});
    input.end(bytes);
  }
  return child as ChildProcessByStdio<null, Readable, Readable>;
}
