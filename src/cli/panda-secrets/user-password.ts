import { text } from 'node:stream/consumers';
import { createSignIn, type SignIn } from '../../identity/sign-in.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import { MIN_PASSWORD_CHARS, PASSWORD_LINK_SECONDS } from '../../protocol/limits.ts';
import type { Store } from '../../store/store.ts';
import { originOf, type Settings } from './settings.ts';

/**
 * Sets the password of an account: asks for it at a terminal, reads it from standard input when told to, and otherwise prints a
 * link at which its owner chooses one. What an operator types is seen by nobody, and a password is in no argument list.
 */
export async function choosePassword(
  name: string,
  options: { store: Store; settings: Settings; fromStdin?: boolean | undefined; link?: boolean | undefined },
): Promise<void> {
  const { store, settings, fromStdin = false, link = false } = options;
  const signIn = createSignIn({ store, clock: Date.now });
  if (fromStdin) {
    // One line, as `echo` and password managers write it.
    await signIn.setPassword(name, (await text(process.stdin)).replace(/\r?\n$/, ''));
    console.log(`the password of ${name.toLowerCase()} is set`);
  } else if (!link && process.stdin.isTTY && process.stderr.isTTY) {
    const password = await askTwice();
    if (password === '') return printLink(name, signIn, settings);
    await signIn.setPassword(name, password);
    console.log(`the password of ${name.toLowerCase()} is set`);
  } else {
    await printLink(name, signIn, settings);
  }
}

/** An empty answer asks for a link instead. */
async function askTwice(): Promise<string> {
  const { password } = await import('@inquirer/prompts');
  const output = { output: process.stderr };
  const message = `Password (at least ${MIN_PASSWORD_CHARS} characters; empty: print a link to choose one)`;
  const first = await password({ message, mask: '*' }, output);
  if (first === '') return first;
  const again = await password({ message: 'The same again', mask: '*' }, output);
  if (first === again) return first;
  throw new InvalidArgument('the two passwords differ; set it with "panda-secrets user password NAME"');
}

async function printLink(name: string, signIn: SignIn, settings: Settings): Promise<void> {
  const token = await signIn.createPasswordLink(name);
  const hours = PASSWORD_LINK_SECONDS / 3600;
  console.log(`its owner chooses a password, once, within ${hours} hours, at`);
  console.log(`  ${settings.publicUrl ?? originOf(settings)}/password/${token}`);
}
