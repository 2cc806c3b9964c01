import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { tracesOf } from '../end-to-end/site.ts';
import { filePaths, JOIN_TOKEN, readIfThere, type Watched } from './watch.ts';

/** Watches the arguments and the environment of all processes of the machine, and files in folders, until asked for what was seen. */
export function watchEverything(
  t: TestContext,
  values: readonly string[],
  folders: readonly string[],
): () => Promise<Watched> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'watch.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  // By standard input, as arguments would be what is searched for.
  child.stdin?.write(`${JSON.stringify({ values, folders })}\n`);
  const answered = text(child.stdout as NodeJS.ReadableStream as never);
  return async () => {
    child.stdin?.end();
    return JSON.parse(await answered) as Watched;
  };
}

/** The files below a folder that hold one of the values, in a form in which it would be found again, or a join token. */
export function filesWithTraces(folder: string, values: readonly string[]): { files: number; found: string[] } {
  const traces = values.flatMap(tracesOf);
  let files = 0;
  const found = filePaths(folder).filter((path) => {
    const bytes = readIfThere(path);
    if (bytes === undefined) return false;
    files += 1;
    return traces.some((trace) => bytes.includes(trace)) || JOIN_TOKEN.test(bytes.toString('latin1'));
  });
  return { files, found };
}
