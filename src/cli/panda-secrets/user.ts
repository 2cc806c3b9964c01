import { Argument, type Command } from 'commander';
import {
  type AccountRole,
  addAccount,
  disableAccount,
  listAccounts,
  removeAccount,
  setAccountRole,
} from '../../identity/accounts.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { tableOf } from './table.ts';
import { givePassword, type PasswordOptions, readPassword } from './user-password.ts';

/** `panda-secrets user add|password|role|list|disable|enable|remove`: accounts of the embedded issuer. */
export function addUserCommands(program: Command): void {
  const user = program.command('user').description('the accounts that this server gives tokens to');

  addInstallationOptions(user.command('add <name>'))
    .description('adds an account; asks for its password, or prints a link at which one is chosen')
    .option('--display-name <text>', 'the name that is shown (default: the name)')
    .option('--operator', 'an operator, who may also administer this server over the network')
    .option('--password-stdin', 'reads the password from standard input')
    .option('--public-url <url>', 'where the server is reached, for the link (default: where it listened last)')
    .action((name: string, { displayName, operator, ...options }: AddOptions, command: Command) =>
      administer(command, async ({ store }, settings) => {
        const password = await readPassword(name, options);
        const account = await addAccount(store, Date.now, name, displayName, operator ? 'operator' : 'user');
        console.log(`added ${account.name}; a token for it: panda-secrets token ${account.name}`);
        await givePassword(store, settings, account.name, password);
      }),
    );

  addInstallationOptions(user.command('password <name>'))
    .description('sets the password of an account, or prints a link at which one is chosen; ends its logins')
    .option('--password-stdin', 'reads the password from standard input')
    .option('--public-url <url>', 'where the server is reached, for the link (default: where it listened last)')
    .option('--link', 'prints a link, also at a terminal')
    .action((name: string, options: PasswordOptions, command: Command) =>
      administer(command, async ({ store }, settings) =>
        givePassword(store, settings, name, await readPassword(name, options)),
      ),
    );

  addInstallationOptions(user.command('role'))
    .description('makes an account an operator, or a user again')
    .argument('<name>')
    .addArgument(new Argument('<role>').choices(['user', 'operator']))
    .action((name: string, role: AccountRole, _options: unknown, command: Command) =>
      administer(command, async ({ store }) => {
        await setAccountRole(store, Date.now, name, role);
        console.log(`${name.toLowerCase()} is ${role === 'operator' ? 'an operator' : 'a user'}`);
      }),
    );

  addInstallationOptions(user.command('list'))
    .description('lists the accounts')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }, command: Command) =>
      administer(command, async ({ store }) => {
        const accounts = await listAccounts(store);
        if (json) return console.log(JSON.stringify(accounts));
        if (accounts.length === 0) return console.log('no accounts; add one with "panda-secrets user add NAME"');
        const rows = accounts.map(({ name, displayName, createdAt, role, disabled }) => [
          name,
          displayName,
          role,
          new Date(createdAt).toISOString().slice(0, 10),
          disabled ? 'disabled' : '',
        ]);
        console.log(tableOf(['NAME', 'SHOWN AS', 'ROLE', 'SINCE', ''], rows));
      }),
    );

  for (const [verb, disabled] of [['disable', true] as const, ['enable', false] as const]) {
    addInstallationOptions(user.command(`${verb} <name>`))
      .description(disabled ? 'refuses the tokens of an account' : 'takes the tokens of a disabled account again')
      .action((name: string, _options: unknown, command: Command) =>
        administer(command, async ({ store }) => {
          await disableAccount(store, Date.now, name, disabled);
          console.log(`${verb}d ${name.toLowerCase()}`);
        }),
      );
  }

  addInstallationOptions(user.command('remove <name>'))
    .description('removes an account; a person who gets the name later starts with nothing')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async ({ store }) => {
        await removeAccount(store, Date.now, name);
        console.log(`removed ${name.toLowerCase()}`);
      }),
    );
}

interface AddOptions extends PasswordOptions {
  displayName?: string;
  operator?: boolean;
}
