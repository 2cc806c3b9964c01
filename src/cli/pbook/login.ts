import type { Command } from 'commander';
import { Unavailable } from '../../protocol/errors.ts';
import { openConnection, withConnection } from '../command.ts';
import { info, note, printable, printJson, warn } from '../reporting.ts';

/** `pbook login`, `logout` and `whoami`. */
export function addLoginCommands(pbook: Command): void {
  pbook
    .command('login')
    .description('Log in with a browser, on this machine or any other.')
    .option('--no-browser', 'only print the address')
    .action(login);
  pbook.command('logout').description('End the login of this machine.').action(logout);
  pbook
    .command('whoami')
    .description('Tell who you are to the server.')
    .option('--json', 'print the result for a program to read')
    .action(async (options) => void (await whoAmI(options)));
}

export async function login(options: { browser: boolean; spinner?: boolean }): Promise<void> {
  const connection = await openConnection();
  const { logIn } = await import('../offer-login.ts');
  await logIn(connection, options);
  info('logged in');
  if (!connection.login.isUsed) warnOfOtherToken();
}

export async function logout(): Promise<void> {
  const { login } = await openConnection();
  const { logout: end } = await import('../../client/login/logout.ts');
  try {
    info((await end(login.file, login.server)) ? 'logged out' : 'you were not logged in');
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    info('logged out here');
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
  warn(
    'PANDA_AUTH_ID_TOKEN, OIDC_AUTH_TOKEN_FILE or OIDC_AUTH_ID_TOKEN is set: the token that it names is used, and not a login',
  );
}
