import type { Command } from 'commander';
import { ROOT_KEYS_RECHECK_SECONDS } from '../../protocol/limits.ts';
import { createRootKeyAdministration, type ListedRootKey, type RootKeyAdministration } from '../../site/keys.ts';
import { columns } from '../columns.ts';
import { addNotes } from '../help-notes.ts';
import { note, printable, UsageError } from '../reporting.ts';
import { addLocalOptions, type Result, withInstallation } from './administer.ts';
import { askPassphrase } from './ask-passphrase.ts';
import { showProgress } from './progress.ts';

/** `panda-secrets keys list|add|activate|rewrap|retire`: root keys, while the servers run. */
export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('root keys and the keys that they wrap, while the servers run');

  addLocalOptions(keys.command('list'))
    .description('lists the root keys, their places, and how many keys each of them wraps')
    .action((_options: unknown, command: Command) => administerKeys(command, listKeys));

  addNotes(
    addLocalOptions(keys.command('add <uri>')),
    'Places: file:/PATH, passphrase:/PATH?passphrase-file=/PATH, transit+https://HOST/MOUNT/KEY?token-file=/PATH, ' +
      '"pkcs11:token=LABEL;object=KEY?module-path=/PATH&pin-source=/PATH". On each server\'s machine.',
  )
    .description('makes a root key in a place, which running servers know from then on; it wraps nothing yet')
    .action((uri: string, _options: unknown, command: Command) =>
      administerKeys(command, async (administration) => {
        const id = await administration.add(uri);
        return {
          data: { id },
          text: `added ${id}: back it up. Servers have it within ${ROOT_KEYS_RECHECK_SECONDS} seconds; then: panda-secrets keys activate ${id}`,
        };
      }),
    );

  addLocalOptions(keys.command('activate <id>'))
    .description('makes a root key the one that wraps what is new')
    .action((id: string, _options: unknown, command: Command) =>
      administerKeys(command, async (administration) => {
        const isChanged = await administration.activate(id);
        const text = isChanged
          ? `${id} wraps what is new; the rest: panda-secrets keys rewrap`
          : `${id} is active already`;
        return { data: { id, changed: isChanged }, text };
      }),
    );

  addLocalOptions(keys.command('rewrap'))
    .description('wraps under the active root key what others wrapped; may be broken off and begun again')
    .action((_options: unknown, command: Command) => administerKeys(command, rewrap));

  addNotes(
    addLocalOptions(keys.command('rotate-owner [user]')),
    'For when somebody may have read a data key: with a copy of the database, and a root key that was read. Each user is done whole or ' +
      'not at all.',
  )
    .description('gives a user a new data key, and seals under it what they keep')
    .option('--all', 'every user')
    .option('--before <time>', 'with --all: those whose data key was made before (default: now)')
    .action((name: string | undefined, options: RotateOptions, command: Command) =>
      administerKeys(command, (administration) => rotateOwner(administration, name, options)),
    );

  addLocalOptions(keys.command('retire <id>'))
    .description('takes a root key that nothing needs any more from the servers, and puts it aside for older backups')
    .action((id: string, _options: unknown, command: Command) =>
      administerKeys(command, async (administration) => {
        const { retired, next } = await administration.retire(id);
        const told = next.startsWith('/') ? `put aside as ${next}` : next;
        return { data: { id, retired, next }, text: retired ? `retired ${id}: ${told}` : `${id}: ${told}` };
      }),
    );
}

interface RotateOptions {
  all?: boolean;
  before?: string;
}

async function rotateOwner(
  administration: RootKeyAdministration,
  name: string | undefined,
  { all = false, before }: RotateOptions,
): Promise<Result> {
  if ((name === undefined) !== all) throw new UsageError('name one user, or all with --all');
  if (name !== undefined) {
    if (before !== undefined) throw new UsageError('--before goes with --all');
    const renewed = await administration.rotateOwner(name);
    if (!renewed) return { data: null, text: `${name} keeps nothing: there is no data key` };
    return { data: renewed, text: `${name} has a new data key: ${sealedAnew(renewed)}` };
  }
  const time = before === undefined ? Date.now() : Date.parse(before);
  if (Number.isNaN(time)) throw new UsageError(`--before is a time such as ${new Date().toISOString()}`);
  const resume = new Date(time).toISOString();
  note(`if this is broken off, "panda-secrets keys rotate-owner --all --before ${resume}" goes on`);
  const progress = showProgress('users have new data keys');
  const { left, owners, ...done } = await administration.rotateOwners(time, progress.show);
  const { seconds, rate } = progress.end(owners);
  const text = `${owners} users have new data keys: ${sealedAnew(done)} (${seconds.toFixed(1)} seconds, ${rate} users a second)`;
  const data = { owners, ...done, seconds, before: resume, left };
  if (left.length === 0) return { data, text };
  const lines = left.map(({ owner, code }) => `  owner ${owner}: ${code}`);
  return {
    data,
    text: [`${text}; not these:`, ...lines].join('\n'),
    failure: `${left.length} users keep their data keys`,
  };
}

function sealedAnew({ secrets, versions }: { secrets: number; versions: number }): string {
  return `${secrets} secrets in ${versions} versions are sealed under it`;
}

function administerKeys(command: Command, work: (administration: RootKeyAdministration) => Promise<Result>) {
  return withInstallation(command, (installation) =>
    work(createRootKeyAdministration(installation, { clock: Date.now, ask: askPassphrase() })),
  );
}

async function listKeys(administration: RootKeyAdministration): Promise<Result> {
  const { keys, troubles } = await administration.list();
  const rows = keys.map((key) => [key.id, stateOf(key), wrapsOf(key), key.place ?? 'not on this machine']);
  const table = (await columns([{ title: 'ID', isWhole: true }, 'STATE', 'WRAPS', 'PLACE'], rows)).trimEnd();
  const remarks = troubles.map(({ place, reason }) => `${place}: ${reason}`);
  return { data: { keys, troubles }, text: [table, ...remarks.map(printable)].join('\n') };
}

function stateOf({ active, place, missing_on }: ListedRootKey): string {
  const state = active ? 'active' : place === null ? 'missing' : 'present';
  return missing_on.length > 0 ? `${state}, not on ${missing_on.join(', ')}` : state;
}

function wrapsOf({ wraps }: ListedRootKey): string {
  const parts = Object.entries(wraps).map(([table, count]) => `${count} ${table.replaceAll('_', ' ')}`);
  return parts.join(', ') || 'nothing';
}

async function rewrap(administration: RootKeyAdministration): Promise<Result> {
  const progress = showProgress('keys wrapped anew');
  const { count, left, active } = await administration.rewrap(progress.show);
  const { seconds, rate } = progress.end(count);
  const done = `${count} keys are wrapped by ${active} now (${seconds.toFixed(1)} seconds, ${rate} a second)`;
  const lines = left.map(({ table, id, rootKeyId, code }) => `  ${table} ${id}, of ${rootKeyId}: ${code}`);
  const data = { active, count, seconds, left };
  if (left.length === 0) return { data, text: done };
  return {
    data,
    text: [`${done}; these could not be, and stay as they are:`, ...lines].join('\n'),
    failure: `${left.length} keys could not be wrapped anew`,
  };
}
