import { Argument, type Command } from 'commander';
import type { AccountRole } from '../../identity/accounts.ts';
import type { LocalAdministration } from '../../site/administration.ts';
import { columns } from '../columns.ts';
import { addAdministrationOptions, addInstallationOptions, administer, administerHere } from './administer.ts';
import { type PasswordOptions, printPasswordLink, readPassword } from './user-password.ts';

const AT_THE_MACHINE = "; at the server's machine alone";

/** `panda-secrets user add|password|role|list|disable|enable|logout|remove`: accounts, and users of other issuers. */
export function addUserCommands(program: Command): void {
  const user = program.command('user').description('the accounts that this server gives tokens to');

  addAdministrationOptions(user.command('add <name>'))
    .description('adds an account; asks for its password, or prints a link at which one is chosen')
    .option('--display-name <text>', 'the name that is shown (default: the name)')
    .option('--operator', `an operator, who may also administer this server over the network${AT_THE_MACHINE}`)
    .option('--password-stdin', `reads the password from standard input${AT_THE_MACHINE}`)
    .option('--public-url <url>', 'where the server is reached, for the link (default: where it listened last)')
    .action(addUser);

  addAdministrationOptions(user.command('password <name>'))
    .description('sets the password of an account, or prints a link at which one is chosen; ends its logins')
    .option('--password-stdin', `reads the password from standard input${AT_THE_MACHINE}`)
    .option('--public-url <url>', 'where the server is reached, for the link (default: where it listened last)')
    .option('--link', 'prints a link, also at a terminal')
    .action(changePassword);

  addInstallationOptions(user.command('role'))
    .description(`makes an account an operator, or a user again${AT_THE_MACHINE}`)
    .argument('<name>')
    .addArgument(new Argument('<role>').choices(['user', 'operator']))
    .action((name: string, role: AccountRole, _options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        await administration.setRole(name, role);
        console.log(`${name.toLowerCase()} is ${role === 'operator' ? 'an operator' : 'a user'}`);
      }),
    );

  addAdministrationOptions(user.command('list'))
    .description('lists the accounts')
    .option('--all', 'also the users of other issuers who called here: other commands know them as ISSUER#SUBJECT')
    .option('--json', 'as JSON')
    .action(listUsers);

  addAdministrationOptions(user.command('disable <name>'))
    .description('refuses the tokens of a user, of whichever issuer')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.disableUser({ name });
        console.log(`disabled ${shownName(name)}`);
      }),
    );

  addAdministrationOptions(user.command('enable <name>'))
    .description('lets a disabled user in again, with new tokens')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.enableUser({ name });
        console.log(`enabled ${shownName(name)}`);
      }),
    );

  addAdministrationOptions(user.command('logout <name>'))
    .description('ends the logins of a user and makes void the tokens that they have')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.logOutUser({ name });
        console.log(`logged out ${shownName(name)}`);
      }),
    );

  addInstallationOptions(user.command('remove <name>'))
    .description(
      'removes an account; a person who gets the name later starts with nothing. Of a user of another issuer it destroys the ' +
        `secrets, and refuses the tokens${AT_THE_MACHINE}`,
    )
    .action((name: string, _options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        await administration.removeUser(name);
        console.log(`removed ${shownName(name)}`);
      }),
    );
}

interface AddOptions extends PasswordOptions {
  displayName?: string;
  operator?: boolean;
  server?: string;
}

function addUser(name: string, { displayName, operator, server, ...options }: AddOptions, command: Command) {
  const person = { name, display_name: displayName };
  if (server !== undefined) {
    return administer(command, async (administration) => {
      const added = await administration.addUser(person);
      console.log(`added ${added.name}`);
      await printPasswordLink(administration, added.name);
    });
  }
  return administerHere(command, async (administration) => {
    const password = await readPassword(name, options);
    const added = await (operator ? administration.addOperator(person) : administration.addUser(person));
    console.log(`added ${added.name}; a token for it: panda-secrets token ${added.name}`);
    await givePassword(administration, added.name, password);
  });
}

function changePassword(name: string, { server, ...options }: PasswordOptions & { server?: string }, command: Command) {
  if (server !== undefined) return administer(command, (administration) => printPasswordLink(administration, name));
  return administerHere(command, async (administration) =>
    givePassword(administration, name, await readPassword(name, options)),
  );
}

/** Sets the password of an account that is there, or prints a link at which its owner chooses one. @throws {NotFound} */
async function givePassword(
  administration: LocalAdministration,
  name: string,
  password: string | undefined,
): Promise<void> {
  if (password === undefined) return printPasswordLink(administration, name);
  await administration.setPassword(name, password);
  console.log(`the password of ${name.toLowerCase()} is set`);
}

/** Names of accounts are in lower case; those of others are as their issuer has them. */
function shownName(name: string): string {
  return name.includes('#') ? name : name.toLowerCase();
}

function listUsers({ all, json }: { all?: boolean; json?: boolean }, command: Command) {
  return administer(command, async (administration) => {
    const accounts = await administration.listUsers({ ...(all && { all }) });
    if (json) return console.log(JSON.stringify(accounts));
    if (accounts.length === 0) return console.log('no accounts; add one with "panda-secrets user add NAME"');
    const rows = accounts.map(({ name, issuer, display_name, role, disabled, created_at }) => [
      name,
      display_name,
      issuer === undefined ? role : '',
      created_at.slice(0, 10),
      disabled ? 'disabled' : '',
    ]);
    process.stdout.write(columns(['NAME', 'SHOWN AS', 'ROLE', 'SINCE', ''], rows));
  });
}
