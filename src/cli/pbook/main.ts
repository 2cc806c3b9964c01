import { pythonInvocation } from './shell/invocation.ts';

const args = process.argv.slice(2);
const python = pythonInvocation(args);
// A prompt has to be there at once: what reads the command lines of commands is loaded for these alone.
if (python) {
  const { startPython } = await import('./shell/start.ts');
  process.exitCode = await startPython(python);
} else {
  const [{ runProgram }, { createPbook }] = await Promise.all([import('../command.ts'), import('./program.ts')]);
  await runProgram(createPbook(), args);
}
