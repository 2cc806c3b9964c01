import type { Keyboard } from './keyboard.ts';
import type { Answer } from './messages.ts';

/**
 * Python's `input` and `getpass`: a line from the terminal, the latter unseen. Neither is remembered.
 *
 * @returns undefined when the call is another one
 */
export async function askUser(
  keyboard: Keyboard,
  name: string,
  { prompt }: Record<string, unknown>,
): Promise<Answer | undefined> {
  if (name !== 'input' && name !== 'getpass') return undefined;
  const typed = await keyboard.read({ prompt: String(prompt), hidden: name === 'getpass' });
  if (typed.kind === 'interrupt') return { ok: false, interrupted: true };
  return typed.kind === 'end' ? { ok: true } : { ok: true, result: typed.text };
}
