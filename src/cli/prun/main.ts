import { runProgram } from '../command.ts';
import { createPrun } from './program.ts';

const args = process.argv.slice(2);
await runProgram(
  createPrun(async (...submission) => (await import('./submit.ts')).submit(...submission), args),
  args,
);
