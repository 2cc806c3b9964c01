import type { Command } from 'commander';
import { tokenVariable } from '../../client/credentials.ts';
import { Unavailable } from '../../protocol/errors.ts';
import { openConnection, withConnection } from '../command.ts';
import { info, note, printable, printJson, warn } from '../reporting.ts';

const JSON_OPTION = ['--json', 'print the result for a program to read'] as const;
const ownLogins = () => import('./own-logins.ts');

/** `pbook login`, `logout`, `whoami`, `logins` and `password`. */
export function addLoginCommands(pbook: Command): void {
  pbook
    .command('login')
    .description('Log in with a browser, on this machine or any other.')
    .option('--no-browser', 'only print the address')
    .option(...JSON_OPTION)
    .action(login);
  pbook
    .command('logout')
    .description('End the login of this machine.')
    .option(...JSON_OPTION)
    .action(logout);
  pbook
    .command('whoami')
    .description('Show which account the server takes you for, and until when.')
    .option(...JSON_OPTION)
    .action(async (options) => void (await whoAmI(options)));
  const logins = pbook
    .command('logins')
    .enablePositionalOptions()
    .description('List the programs and browsers that you logged in.')
    .option(...JSON_OPTION)
    .action(async (options) => (await ownLogins()).listLogins(options));
  logins
    .command('end')
    .usage('ID... | --all [--json]')
    .description('End logins: what they got is refused within half a minute.')
    .argument('[ids...]')
    .option('--all', 'all of them, also this one, and every token that an operator printed for you')
    .option(...JSON_OPTION)
    .action(async (ids, options) => (await ownLogins()).endLogins(ids, options));
  pbook
    .command('password')
    .description('Change your password. That ends all your logins.')
    .option('--stdin', 'read the current password and the new one from standard input, a line each')
    .option(...JSON_OPTION)
    .action(async (options) => (await ownLogins()).changePassword(options));
}

export async function login({
  json,
  ...options
}: {
  browser: boolean;
  spinner?: boolean;
  json?: boolean;
}): Promise<void> {
  const connection = await openConnection();
  const { logIn } = await import('../offer-login.ts');
  await logIn(connection, options);
  if (json) printJson(null);
  else info('logged in');
  if (!connection.login.isUsed) warnOfOtherToken();
}

export async function logout({ json }: { json?: boolean } = {}): Promise<void> {
  const { login } = await openConnection();
  const { logout: end } = await import('../../client/login/logout.ts');
  try {
    const wasLoggedIn = await end(login.file, login.server);
    if (json) printJson({ was_logged_in: wasLoggedIn });
    else info(wasLoggedIn ? 'logged out' : 'you were not logged in');
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    if (json) printJson({ was_logged_in: true });
    else info('logged out here');
    warn(`the issuer was not told, so a copy of the login is good until it ends: ${error.message}`);
  }
  if (!login.isUsed) warnOfOtherToken();
}

export async function whoAmI({ json }: { json?: boolean }): Promise<object> {
  return await withConnection(async ({ client }) => {
    const attributes = await client.getUserAttributes();
    if (json) printJson(attributes);
    if (json) return attributes;
    const { display_name, user_dn_clean, nickname, fqans = [], token_expires_at } = attributes;
    const name = display_name ?? user_dn_clean ?? 'unknown';
    process.stdout.write(`${printable(nickname && nickname !== name ? `${nickname} (${name})` : name)}\n`);
    note(`at ${client.origin}, groups: ${fqans.join(', ') || 'none'}`);
    if (token_expires_at) note(`the token ends at ${token_expires_at.slice(0, 16).replace('T', ' ')} UTC`);
    return attributes;
  });
}

function warnOfOtherToken(): void {
  warn(`${tokenVariable(process.env)} is set: the token that it names is used, and not a login`);
}
