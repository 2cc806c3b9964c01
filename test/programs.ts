import { join } from 'node:path';
import { PROGRAMS, type Program } from '../scripts/build/programs.ts';

/**
 * The file to start a program with: the one that `npm test` made for its run, which starts in a fraction of the time, or the
 * source where a test file runs by itself.
 */
export function programPath(program: Program): string {
  const made = process.env['PANDA_TEST_PROGRAMS'];
  return made ? join(made, `${program}.js`) : join(import.meta.dirname, '..', PROGRAMS[program]);
}

/** The words that start a program, before its arguments. */
export function programWords(program: Program): [node: string, ...string[]] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', programPath(program)];
}
