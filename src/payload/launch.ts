import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { Misconfigured } from '../protocol/errors.ts';

/** A program to start. */
export interface Launch {
  /** Its path or name, and its arguments, which every user of the machine can read. */
  words: readonly string[];
  /** Read from its descriptors: from 3 on, each to its end. Nobody else sees these. */
  inputs: readonly Uint8Array[];
}

export const FIRST_INPUT = 3;

export interface LaunchOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Where its pipes are made: a folder that others than this user cannot look into, or the one for temporary files. */
  pipesIn: string;
  /** Standard input: nothing to read, or this process's. */
  input?: 'ignore' | 'inherit';
}

/** A program that was started, with what it prints. */
export interface Launched {
  child: ChildProcess;
  stdout: Readable;
  stderr: Readable;
}

/** Starts it. @throws as `spawn` does, which is not always by an event */
export function startLaunch(
  { words, inputs }: Launch,
  { pipesIn, input: standardInput = 'ignore', ...options }: LaunchOptions,
): Launched {
  const [program = '', ...rest] = words;
  const pipes = inputs.map(() => 'pipe' as const);
  const outputs = makePipes(2, pipesIn);
  let child: ChildProcess;
  try {
    child = spawn(program, rest, { ...options, stdio: [standardInput, ...outputs.map(({ end }) => end), ...pipes] });
  } catch (error) {
    for (const { start } of outputs) start.destroy();
    throw error;
  } finally {
    for (const { end } of outputs) closeSync(end);
  }
  for (const [index, bytes] of inputs.entries()) {
    const input = child.stdio[FIRST_INPUT + index] as Writable;
    // A program that ends before it has read all says why itself.
    input.on('error', () => {});
    input.end(bytes);
  }
  const [stdout, stderr] = outputs.map(({ start }) => start) as [Readable, Readable];
  return { child, stdout, stderr };
}

/**
 * Pipes, with the descriptor of the end that is written to. Node's own are sockets, which programs cannot open by their names
 * (`echo x > /dev/stderr`). Their names are gone when this returns.
 */
function makePipes(count: number, parent: string): { start: Readable; end: number }[] {
  const folder = mkdtempSync(join(parent, '.pipes-'));
  try {
    const paths = Array.from({ length: count }, (_, index) => join(folder, String(index)));
    // A payload that is another user opens its own output by name: nobody else finds these.
    const { error, status } = spawnSync('mkfifo', ['-m', '666', ...paths], { stdio: 'ignore' });
    if (error) throw error;
    if (status !== 0) throw new Misconfigured(`no pipes can be made in ${folder}: mkfifo ended with status ${status}`);
    return paths.map((path) => {
      const start = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const end = openSync(path, constants.O_WRONLY);
      return { start: new Socket({ fd: start, readable: true, writable: false }), end };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
