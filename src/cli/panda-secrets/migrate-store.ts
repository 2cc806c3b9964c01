import type { Command } from 'commander';
import type { StorePlace } from '../../site/move-store.ts';
import { readSettings, type Settings } from '../../site/settings.ts';
import { addNotes } from '../help-notes.ts';
import { UsageError } from '../reporting.ts';
import { CONFIG_OPTION, DATA_OPTION, tell } from './administer.ts';
import { askPassphrase } from './ask-passphrase.ts';
import { showProgress } from './progress.ts';

interface Options {
  from: string;
  to: string;
}

/** `panda-secrets migrate-store`: moves an installation from SQLite to PostgreSQL, or back. */
export function addMigrateStoreCommand(program: Command): void {
  addNotes(
    program.command('migrate-store'),
    'A place is sqlite (panda.db in the data folder), a URL (postgres://...), or postgresql: the one that PANDA_SECRETS_DATABASE names. ' +
      'Root keys, sandboxes, logs and outputs stay where they are. Killed, it left the source as it was: run it again.',
  )
    .description(
      'moves the database of an installation that is stopped from SQLite to PostgreSQL, or back, and compares every row',
    )
    .requiredOption('--from <place>', 'the database that has the rows')
    .requiredOption('--to <place>', 'an empty one')
    .option(...DATA_OPTION)
    .option(...CONFIG_OPTION)
    .option('--json', 'print the result for a program to read')
    .action(migrateStore);
}

async function migrateStore({ from, to }: Options, command: Command): Promise<void> {
  const { moveStore } = await import('../../site/move-store.ts');
  const settings = readSettings(command.opts(), process.env);
  const places = { from: placeOf('--from', from, settings), to: placeOf('--to', to, settings) };
  const counts = { copied: 0, checked: 0 };
  const words = { copied: 'rows copied', checked: 'rows read back' };
  const progress = showProgress(words.copied);
  const moved = await moveStore(settings, places, {
    clock: Date.now,
    ask: askPassphrase(),
    onProgress(what, rows) {
      counts[what] += rows;
      progress.show(counts[what], words[what]);
    },
  });
  const { seconds, rate } = progress.end(counts.copied);
  const untrusted = moved.tables.reduce((sum, table) => sum + table.untrusted, 0);
  const left = places.from === 'sqlite' ? `${settings.data}/panda.db is` : 'the source is';
  const lines = [
    `${counts.copied} rows of ${moved.tables.length} tables are moved, and were read back and compared (${seconds.toFixed(1)} seconds, ${rate} rows a second)`,
    ...(untrusted > 0
      ? [`${untrusted} rows were not written by this software, and are refused here as they were there`]
      : []),
    ...(moved.brokenChains > 0 ? [`${moved.brokenChains} chains of the audit are broken, as they were there`] : []),
    `sandboxes, logs and outputs stay in ${moved.blobFolder}; each server needs that place, and the root keys`,
    places.to === 'sqlite'
      ? `start the server without a database setting: "panda-secrets serve --data ${settings.data}"`
      : 'start the servers with PANDA_SECRETS_DATABASE naming it',
    `${left} kept, and no server starts on it: remove it when the new one is backed up`,
  ];
  tell(command, { text: lines.join('\n'), data: { ...moved, rows: counts.copied, seconds } });
}

function placeOf(option: string, text: string, { database }: Settings): StorePlace {
  if (text === 'sqlite') return text;
  const url = text === 'postgresql' ? database : text;
  if (url === undefined) throw new UsageError(`${option} postgresql: PANDA_SECRETS_DATABASE names none`);
  if (/^postgres(ql)?:\/\//.test(url)) return url as StorePlace;
  throw new UsageError(`${option} is sqlite, postgresql, or a URL that starts with postgres://`);
}
