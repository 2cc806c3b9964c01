import { runProgram } from '../command.ts';
import { createPbook } from './program.ts';

await runProgram(createPbook(), process.argv.slice(2));
