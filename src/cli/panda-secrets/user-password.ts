import { text } from 'node:stream/consumers';
import { checkNewPassword } from '../../identity/passwords.ts';
import type { Administration } from '../../protocol/administration.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import { MIN_PASSWORD_CHARS, PASSWORD_LINK_SECONDS } from '../../protocol/limits.ts';

/** The ways to give a password: never as an argument, which all users of the machine can see. */
export interface PasswordOptions {
  passwordStdin?: boolean;
  link?: boolean;
}

/**
 * The new password of an account: asked for at a terminal, read from standard input when told to, and otherwise undefined, for
 * a link at which its owner chooses one.
 *
 * @throws {InvalidArgument} when it cannot be one
 */
export async function readPassword(
  name: string,
  { passwordStdin = false, link = false }: PasswordOptions,
): Promise<string | undefined> {
  if (!passwordStdin && (link || !process.stdin.isTTY || !process.stderr.isTTY)) return undefined;
  // One line, as `echo` and password managers write it.
  const password = passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : await askTwice();
  if (password !== undefined) checkNewPassword(password, name.toLowerCase());
  return password;
}

/** A password that was set, or a link at which one is chosen. */
export interface PasswordResult {
  text: string;
  data?: { password_link: { url: string; expires_at: string } };
}

/** Makes a link at which the owner of an account chooses its password. @throws {NotFound} */
export async function passwordLink(administration: Administration, name: string): Promise<PasswordResult> {
  const link = await administration.createPasswordLink({ name });
  const hours = PASSWORD_LINK_SECONDS / 3600;
  return {
    data: { password_link: link },
    text: `send this link to its owner, who can choose a password there once, within ${hours} hours:\n  ${link.url}`,
  };
}

/** An empty answer asks for a link instead. */
async function askTwice(): Promise<string | undefined> {
  const { password } = await import('@inquirer/prompts');
  const output = { output: process.stderr };
  const message = `Password (at least ${MIN_PASSWORD_CHARS} characters; empty: print a link to choose one)`;
  const first = await password({ message, mask: '*' }, output);
  if (first === '') return undefined;
  const again = await password({ message: 'Repeat the password', mask: '*' }, output);
  if (first === again) return first;
  throw new InvalidArgument('the two passwords differ: type the same twice');
}
