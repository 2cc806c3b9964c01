import { Argument, type Command } from 'commander';
import type { AccountRole } from '../../identity/accounts.ts';
import type { LocalAdministration } from '../../site/administration.ts';
import { columns } from '../columns.ts';
import { Declined, isLiveTerminal, UsageError } from '../reporting.ts';
import { addAdministrationOptions, addLocalOptions, administer, administerHere } from './administer.ts';
import { type PasswordOptions, type PasswordResult, passwordLink, readPassword } from './user-password.ts';

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

  addLocalOptions(user.command('role'))
    .description(`makes an account an operator, or a user again${AT_THE_MACHINE}`)
    .argument('<name>')
    .addArgument(new Argument('<role>').choices(['user', 'operator']))
    .action((name: string, role: AccountRole, _options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        await administration.setRole(name, role);
        return { text: `${name.toLowerCase()} is ${role === 'operator' ? 'an operator' : 'a user'}` };
      }),
    );

  addAdministrationOptions(user.command('list'))
    .description('lists the accounts')
    .option('--all', 'also the users of other issuers who called here: other commands know them as ISSUER#SUBJECT')
    .action(listUsers);

  addAdministrationOptions(user.command('disable <name>'))
    .description('refuses the tokens of a user, of whichever issuer')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.disableUser({ name });
        return { text: `disabled ${shownName(name)}` };
      }),
    );

  addAdministrationOptions(user.command('enable <name>'))
    .description('lets a disabled user in again, with new tokens')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.enableUser({ name });
        return { text: `enabled ${shownName(name)}` };
      }),
    );

  addAdministrationOptions(user.command('logout <name>'))
    .description('ends the logins of a user and makes void the tokens that they have')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.logOutUser({ name });
        return { text: `logged out ${shownName(name)}` };
      }),
    );

  addLocalOptions(user.command('remove <name>'))
    .description(
      'removes an account; a person who gets the name later starts with nothing. Of a user of another issuer it destroys the ' +
        `secrets, and refuses the tokens${AT_THE_MACHINE}`,
    )
    .action((name: string, _options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        await administration.removeUser(name);
        return { text: `removed ${shownName(name)}` };
      }),
    );

  addLocalOptions(user.command('erase <name>'))
    .description(
      `erases a user with all that they kept: secrets, data key, tasks, logs, sandboxes, logins; the audit keeps ids alone${AT_THE_MACHINE}`,
    )
    .option('--yes', 'does not ask')
    .action(eraseUser);
}

async function eraseUser(
  name: string,
  { yes = false, json = false }: { yes?: boolean; json?: boolean },
  command: Command,
) {
  if (!yes) await confirmErasure(name, json);
  await administerHere(command, async (administration) => {
    const isLive = isLiveTerminal(process.stderr);
    const erased = await administration.eraseUser(name, (jobs) => {
      if (isLive) process.stderr.write(`\r${jobs} jobs erased`);
    });
    if (isLive && erased.jobs > 0) process.stderr.write('\n');
    const { secrets, jobs, files, tried, owner } = erased;
    const later = files.later > 0 ? `, ${files.later} that came just now go within a day` : '';
    const lines = [
      `erased ${shownName(name)}: ${secrets} secrets, ${jobs} jobs, ${files.removed} files${later}`,
      `  no row of theirs is left; ${tried} of the secrets were tried, and none opened`,
      ...(erased.log_emptied === false
        ? ["  the database's log still has older pages: they go when nothing reads it any more"]
        : []),
      ...(owner === null ? [] : [`  the audit has them as owner ${owner}`]),
      '  backups of before still have them',
    ];
    return { data: erased, text: lines.join('\n') };
  });
}

/** @throws {UsageError} where there is nobody to ask @throws {Declined} */
async function confirmErasure(name: string, json: boolean): Promise<void> {
  if (json || !process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError('to erase without being asked, add --yes');
  const { confirm } = await import('@inquirer/prompts');
  const message = `Erase all that ${shownName(name)} keeps? Nothing brings it back`;
  if (!(await confirm({ message, default: false }, { output: process.stderr })))
    throw new Declined('nothing was erased');
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
      const link = await passwordLink(administration, added.name);
      return { data: { ...added, ...link.data }, text: `added ${added.name}\n${link.text}` };
    });
  }
  return administerHere(command, async (administration) => {
    const password = await readPassword(name, options);
    const added = await (operator ? administration.addOperator(person) : administration.addUser(person));
    const { data, text } = await givePassword(administration, added.name, password);
    return {
      data: { ...added, ...data },
      text: `added ${added.name}; a token for it: panda-secrets token ${added.name}\n${text}`,
    };
  });
}

function changePassword(name: string, { server, ...options }: PasswordOptions & { server?: string }, command: Command) {
  if (server !== undefined) return administer(command, (administration) => passwordLink(administration, name));
  return administerHere(command, async (administration) =>
    givePassword(administration, name, await readPassword(name, options)),
  );
}

/** Sets the password of an account that is there, or makes a link at which its owner chooses one. @throws {NotFound} */
async function givePassword(
  administration: LocalAdministration,
  name: string,
  password: string | undefined,
): Promise<PasswordResult> {
  if (password === undefined) return passwordLink(administration, name);
  await administration.setPassword(name, password);
  return { text: `the password of ${name.toLowerCase()} is set` };
}

/** Names of accounts are in lower case; those of others are as their issuer has them. */
function shownName(name: string): string {
  return name.includes('#') ? name : name.toLowerCase();
}

function listUsers({ all }: { all?: boolean }, command: Command) {
  return administer(command, async (administration) => {
    const accounts = await administration.listUsers({ ...(all && { all }) });
    if (accounts.length === 0) {
      return { data: accounts, text: 'no accounts; add one with "panda-secrets user add NAME"' };
    }
    const rows = accounts.map(({ name, issuer, display_name, role, disabled, created_at }) => [
      name,
      display_name,
      issuer === undefined ? role : '',
      created_at.slice(0, 10),
      disabled ? 'disabled' : '',
    ]);
    return { data: accounts, text: (await columns(['NAME', 'SHOWN AS', 'ROLE', 'SINCE', ''], rows)).trimEnd() };
  });
}
