import { text } from 'node:stream/consumers';
import type { ListedLogin } from '../../protocol/calls/login.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import { columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { info, note, printable, printJson, UsageError } from '../reporting.ts';

interface Options {
  json?: boolean;
}

/** `logins`: the programs and browsers that somebody logged in. */
export async function listLogins({ json }: Options): Promise<void> {
  const logins = await withConnection(({ client }) => client.listLogins());
  if (json) return printJson(logins);
  if (logins.length === 0) {
    return info('you have no logins: your token is one that an operator printed, or of another issuer');
  }
  process.stdout.write(
    await columns(
      [{ title: 'Id', isWhole: true }, 'What', 'Where', 'Address', 'Since (UTC)', 'Used (UTC)'],
      logins.map(rowOf),
    ),
  );
  note('"pbook logins end ID" ends one, "pbook logins end --all" all of them');
}

/** `logins end ID...`, or `--all` */
export async function endLogins(ids: readonly string[], { all, json }: Options & { all?: boolean }): Promise<void> {
  if ((all === true) === ids.length > 0) throw new UsageError('logins end takes the ID of a login, or --all');
  await withConnection(async ({ client }) => {
    if (all) await client.endAllLogins();
    for (const id of ids) await client.endLogin(id);
  });
  if (json) return printJson({ ended: all ? 'all' : ids });
  info(all ? 'ended all logins' : `ended ${ids.join(', ')}`);
  note('Tokens of what was ended are refused within half a minute');
}

/** `password`: changes one's own, which is never an argument. */
export async function changePassword({ stdin, json }: Options & { stdin?: boolean }): Promise<void> {
  const { current, password } = stdin ? await readLines() : await ask();
  await withConnection(({ client }) => client.changePassword(current, password));
  if (json) return printJson(null);
  info('your password is changed');
  note('All your logins have ended: log in again with "pbook login"');
}

/** The current password and the new one, a line each. */
async function readLines(): Promise<{ current: string; password: string }> {
  const [current, password, ...more] = (await text(process.stdin)).replace(/\r?\n$/, '').split(/\r?\n/);
  if (!current || !password || more.length > 0) {
    throw new UsageError('--stdin reads two lines: the current password, and the new one');
  }
  return { current, password };
}

async function ask(): Promise<{ current: string; password: string }> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError('password asks at a terminal; without one it needs --stdin');
  }
  const { password } = await import('@inquirer/prompts');
  const hidden = (message: string) => password({ message, mask: '*' }, { output: process.stderr });
  const current = await hidden('Current password');
  const chosen = await hidden('New password');
  if (chosen !== (await hidden('Repeat the new password')))
    throw new InvalidArgument('the two passwords differ: type the same twice');
  return { current, password: chosen };
}

function rowOf({ id, kind, program, device, address, created_at, used_at, current }: ListedLogin): string[] {
  return [
    id,
    `${program ?? kind}${current ? ' (this one)' : ''}`,
    device ?? '',
    address ?? '',
    minute(created_at),
    minute(used_at),
  ].map(printable);
}

/** @param time ISO 8601 */
function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}
