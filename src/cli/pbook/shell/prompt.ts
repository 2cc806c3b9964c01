import type { ReadStream, WriteStream } from 'node:tty';
import { askUser } from './ask-user.ts';
import { carryOutCommand, secretNames } from './commands.ts';
import { createCompleter } from './completion.ts';
import type { History } from './history.ts';
import { startInterpreter } from './interpreter.ts';
import { openKeyboard } from './keyboard.ts';
import { arrangePaste, withoutMorePrompt, withoutPrompt } from './paste.ts';

const FIRST = '>>> ';
const MORE = '... ';

/**
 * The prompt of Python at a terminal, until the user leaves.
 *
 * @param keepsAll lines that set a secret go into the history as well
 * @returns the exit status
 */
export async function runPrompt(
  input: ReadStream,
  output: WriteStream,
  history: History,
  { keepsAll }: { keepsAll: boolean },
): Promise<number> {
  let setsSecret = false;
  const interpreter = startInterpreter({
    arguments: [''],
    terminal: true,
    async carryOut(name, given, folder, signal) {
      const asked = await askUser(keyboard, name, given);
      if (asked) return asked;
      setsSecret ||= name === 'set_secret';
      return await carryOutCommand(name, given, folder, signal);
    },
  });
  const keyboard = openKeyboard(input, output, interpreter.interrupt);
  const completer = createCompleter({ python: interpreter.complete, secretNames });
  const arrange = (pasted: string) => arrangePaste(pasted, interpreter.split);

  /** @returns the exit status when the statement ends the session */
  async function runStatement(): Promise<number | undefined> {
    const lines: string[] = [];
    let isPastedSession = false;
    for (;;) {
      const first = lines.length === 0;
      const typed = await keyboard.read({
        prompt: first ? FIRST : MORE,
        history: history.lines,
        completer,
        ...(first && { arrange }),
      });
      if (typed.kind === 'end') return first ? 0 : undefined;
      if (typed.kind === 'interrupt') {
        output.write('KeyboardInterrupt\n');
        return undefined;
      }
      const text: string = first
        ? withoutPrompt(typed.text)
        : isPastedSession
          ? withoutMorePrompt(typed.text)
          : typed.text;
      if (first) isPastedSession = text !== typed.text;
      const below = typed.below ?? [];
      for (const line of below) output.write(`${MORE}${line}\n`);
      lines.push(text, ...below);
      for (const line of [text, ...below]) history.add(line);
      if (first && text.trim() === '') return undefined;

      setsSecret = false;
      const outcome = await interpreter.feed(lines.join('\n'), typed.below !== undefined);
      if (outcome.state === 'more') continue;
      if (outcome.state === 'interrupted') output.write('KeyboardInterrupt\n');
      if (!keepsAll && (setsSecret || lines.some((line) => line.includes('set_secret')))) history.leaveOut(lines);
      else history.keep(lines);
      return outcome.state === 'exit' ? outcome.status : undefined;
    }
  }

  try {
    for (;;) {
      const status = await runStatement();
      if (status !== undefined) return status;
    }
  } finally {
    history.close();
    keyboard.close();
    await interpreter.close();
  }
}
