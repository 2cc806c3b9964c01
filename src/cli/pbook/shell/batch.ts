import { askUser } from './ask-user.ts';
import { carryOutCommand } from './commands.ts';
import { type Interpreter, startInterpreter } from './interpreter.ts';
import { openKeyboard } from './keyboard.ts';

/** As shells count Ctrl-C. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs a script to its end.
 *
 * @param fileName the script's name in a traceback
 * @returns the exit status: 1 after an uncaught error or a command that was refused, 130 after Ctrl-C
 */
export async function runScript(source: string, fileName: string): Promise<number> {
  const { stdin, stdout } = process;
  const interpreter: Interpreter = startInterpreter({
    arguments: [fileName === '<string>' ? '-c' : '-'],
    terminal: stdin.isTTY === true,
    async carryOut(name, given, folder, signal) {
      if (name !== 'input' && name !== 'getpass') return await carryOutCommand(name, given, folder, signal);
      const keyboard = openKeyboard(stdin, stdout, interpreter.interrupt);
      try {
        return (await askUser(keyboard, name, given)) ?? { ok: false };
      } finally {
        keyboard.close();
      }
    },
  });
  process.on('SIGINT', interpreter.interrupt);
  try {
    const outcome = await interpreter.run(source, fileName);
    return outcome.state === 'exit' ? outcome.status : outcome.state === 'interrupted' ? EXIT_INTERRUPTED : 0;
  } finally {
    process.off('SIGINT', interpreter.interrupt);
    await interpreter.close();
  }
}
