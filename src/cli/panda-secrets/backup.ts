import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { shellWord } from '../../protocol/shell-words.ts';
import { isUnderPassphrase } from '../../sealing/root-key-uri.ts';
import type { ArchivedPlace, Contents } from '../../site/backup/archive.ts';
import { readSettings, type Settings } from '../../site/settings.ts';
import { note, printable } from '../reporting.ts';
import { addLocalOptions, tell, withInstallation } from './administer.ts';

const more = (value: string, before: string[] = []) => [...before, value];

/** `panda-secrets backup`, `backup verify` and `restore`, at the server's machine. */
export function addBackupCommands(program: Command): void {
  const backup = addLocalOptions(program.command('backup'))
    .description('makes one encrypted backup while the server works: an age file, for those who have a key to it')
    .usage('--to FILE --recipient AGE1... [--with-keys] | verify FILE --identity FILE')
    .option('--to <file>', 'the file to make; - for standard output')
    .option('--recipient <age1...>', 'who may open it, as age-keygen prints it; may be given again', more)
    .option('--with-keys', 'put the root keys in as well: who opens it then has all secrets')
    .action(async (options, command: Command) => {
      const {
        to,
        recipient = [],
        withKeys = false,
      } = options as { to?: string; recipient?: string[]; withKeys?: boolean };
      if (to === undefined) command.error("error: required option '--to <file>' not specified");
      const { makeBackup } = await import('../../site/backup/make.ts');
      const request = { to: to as string, recipients: recipient, withKeys };
      await withInstallation(command, async (installation, settings) => {
        const made = await makeBackup(settings, installation, Date.now, request);
        const lines = [
          `${made.files} files, ${made.bytes} bytes, of installation ${made.installation}`,
          `${made.size} bytes, SHA-256 ${made.sha256}`,
          ...(withKeys ? placesOf(made.places) : []),
          ...(made.database === 'postgresql' ? ['without the database: dump it with pg_dump'] : []),
          ...(made.missing > 0 ? [`${made.missing} files that the database names were not there`] : []),
        ];
        if (to !== '-') return { text: lines.join('\n'), data: made };
        // Standard output has the backup itself.
        for (const line of lines) note(`panda-secrets: ${line}`);
        return undefined;
      });
    });

  backup
    .command('verify')
    .description('reads a whole backup and says what is in it; status 1 when it was changed or cut')
    .argument('<file>', 'the backup; - for standard input')
    .requiredOption('--identity <file>', 'the file with the key to it, as age-keygen makes it')
    .option('--json', 'print the result for a program to read')
    .action(async (file: string, { identity }: { identity: string }, command: Command) => {
      const { verifyBackup } = await import('../../site/backup/restore.ts');
      tell(command, resultOf(await verifyBackup(file, identity), 'whole'));
    });

  program
    .command('restore')
    .description('puts a backup into an empty data folder')
    .argument('<file>', 'the backup; - for standard input')
    .requiredOption('--identity <file>', 'the file with the key to it, as age-keygen makes it')
    .option('--data <dir>', 'the empty folder (default: ~/.local/share/panda-secrets)')
    .option('--config <file>', 'configuration file (TOML)')
    .option('--json', 'print the result for a program to read')
    .action(async (file: string, { identity }: { identity: string }, command: Command) => {
      const { restoreBackup } = await import('../../site/backup/restore.ts');
      const settings = readSettings({ ...command.opts(), identity: undefined }, process.env);
      const { text, data } = resultOf(await restoreBackup(settings, file, identity), `restored to ${settings.data}`);
      tell(command, { text: [text, ...nextSteps(settings, data.places ?? [])].join('\n'), data });
    });
}

function resultOf({ manifest, end, blobs }: Contents, what: string) {
  const { installation, madeAt, release, database, withKeys, places = [] } = manifest;
  const lines = [
    `${what}: installation ${installation}, as of ${madeAt}, made by release ${release}`,
    `${end.files} files, ${end.bytes} bytes, ${blobs} of them sandboxes, logs and outputs`,
    ...(withKeys ? placesOf(places) : ['without the root keys: put them back before the first start']),
    ...(database === 'postgresql' ? ['without the database: restore the dump of PostgreSQL of that time'] : []),
  ];
  return { text: lines.map(printable).join('\n'), data: { ...manifest, ...end, blobs } };
}

/** The operator's part, before the first start. */
function nextSteps(settings: Settings, places: readonly ArchivedPlace[]): string[] {
  const { data, blobs } = settings;
  return [...rootKeySteps(settings, places), ...(blobs === undefined ? [] : [fillStep(data, blobs)])];
}

/** Files in a storage are encrypted with a key of the database, which may not be back yet. */
function fillStep(data: string, blobs: string): string {
  const from = pathToFileURL(join(data, 'blobs')).href;
  return `blobs names another place than ${data}: before the first start run "panda-secrets migrate-blobs --data ${shellWord(data)} --from ${shellWord(from)} --to ${shellWord(blobs)}"`;
}

function rootKeySteps(
  { data, rootKeys }: Pick<Settings, 'data' | 'rootKeys'>,
  places: readonly ArchivedPlace[],
): string[] {
  const names = places.flatMap(({ name }) => name ?? []);
  if (names.length > 0 && rootKeys !== undefined) {
    return [`root_keys names other places than ${data}: put ${names.join(', ')} there, or take that setting out`];
  }
  return places.flatMap(({ place, name }) =>
    name === null
      ? printable(`name in root_keys, if it is yours: ${place}`)
      : isUnderPassphrase(place)
        ? `name in root_keys: passphrase:${data}/${name}, and where its passphrase is`
        : [],
  );
}

/** The places of root keys that a backup has, and those whose keys are in no file. */
function placesOf(places: readonly ArchivedPlace[]): string[] {
  const elsewhere = places.filter(({ name }) => name === null).map(({ place }) => place);
  const files = places.flatMap(({ place, name }) => (name === null ? [] : `${name} (${place})`));
  return [
    `with the root keys${files.length > 0 ? `: ${files.join(', ')}` : ''}`,
    ...(elsewhere.length > 0 ? [`not in it, as their keys leave their place never: ${elsewhere.join(', ')}`] : []),
  ];
}
