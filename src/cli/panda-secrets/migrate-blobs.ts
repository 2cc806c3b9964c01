import type { Command } from 'commander';
import { addNotes } from '../help-notes.ts';
import { CONFIG_OPTION, DATA_OPTION, DATABASE_OPTION, withInstallation } from './administer.ts';
import { showProgress } from './progress.ts';

/** `panda-secrets migrate-blobs`: copies sandboxes, logs and outputs to another place. */
export function addMigrateBlobsCommand(program: Command): void {
  addNotes(
    program.command('migrate-blobs'),
    'Servers may work meanwhile: run it again when they are stopped, for what came since. Killed, it goes on where it was when it is run ' +
      'again. Nothing is removed where the files were.',
  )
    .description(
      'copies sandboxes, logs and outputs to another place, and reads each back; status 1 when some are not whole there',
    )
    .option('--from <uri>', 'where they are (default: where the settings say)')
    .requiredOption('--to <uri>', 's3://BUCKET/PREFIX?..., or file:/FOLDER')
    .option(...DATA_OPTION)
    .option(...DATABASE_OPTION)
    .option(...CONFIG_OPTION)
    .option('--json', 'print the result for a program to read')
    .action((places: { from?: string; to: string }, command: Command) =>
      withInstallation(command, async (installation) => {
        const { copyBlobs } = await import('../../site/migrate-blobs.ts');
        const progress = showProgress('files copied');
        const done = await copyBlobs(installation, Date.now, places, (copied) => progress.show(copied));
        progress.end(done.copied);
        const isWhole = done.missing + done.damaged.length === 0;
        const lines = [
          `${done.copied} files, ${done.bytes} bytes, are copied from ${done.from} to ${done.to}, and were read back; ${done.there} were there`,
          ...(done.missing > 0 ? [`${done.missing} files that the database names are in neither place`] : []),
          ...done.damaged.map((sha256) => `${sha256} was changed or cut where it is, and is not copied`),
          ...(isWhole ? [`start the servers with the setting blobs = "${places.to}"`] : []),
        ];
        return { text: lines.join('\n'), data: done, ...(!isWhole && { failure: 'some files are not whole there' }) };
      }),
    );
}
