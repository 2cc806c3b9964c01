import type { Command } from 'commander';
import { openInstallation } from '../../site/installation.ts';
import { readSettings } from '../../site/settings.ts';
import { addLocalOptions, tell } from './administer.ts';

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
      const settings = readSettings(command.opts(), process.env);
      const clock = Date.now;
      const installation = await openInstallation(settings, { create: false, clock });
      try {
        const made = await makeBackup(settings, installation, clock, {
          to: to as string,
          recipients: recipient,
          withKeys,
        });
        const text = [
          `${made.files} files, ${made.bytes} bytes, of installation ${made.installation}`,
          `${made.size} bytes, SHA-256 ${made.sha256}`,
          ...(made.database === 'postgresql' ? ['without the database: dump it with pg_dump'] : []),
          ...(made.missing > 0 ? [`${made.missing} files that the database names were not there`] : []),
        ];
        // Standard output has the backup itself then.
        if (to === '-') for (const line of text) console.error(`panda-secrets: ${line}`);
        else tell(command, { text: text.join('\n'), data: made });
      } finally {
        await installation.close();
      }
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
      const { data } = readSettings({ ...command.opts(), identity: undefined }, process.env);
      tell(command, resultOf(await restoreBackup(data, file, identity), `restored to ${data}`));
    });
}

function resultOf(
  { manifest, end, blobs }: import('../../site/backup/archive.ts').Contents,
  what: string,
): { text: string; data: unknown } {
  const { installation, madeAt, release, database, withKeys } = manifest;
  const lines = [
    `${what}: installation ${installation}, as of ${madeAt}, made by release ${release}`,
    `${end.files} files, ${end.bytes} bytes, ${blobs} of them sandboxes, logs and outputs`,
    withKeys ? 'with the root keys' : 'without the root keys: put them back before the first start',
    ...(database === 'postgresql' ? ['without the database: restore the dump of PostgreSQL of that time'] : []),
  ];
  return { text: lines.join('\n'), data: { ...manifest, ...end, blobs } };
}
