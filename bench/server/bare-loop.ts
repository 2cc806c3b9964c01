// A bare loop on `node:http`: reads an owner's rows, opens them and makes the JSON. No login, no checks, no log, no cache:
// the cost of a get for any server.

import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { succeeded } from '../../src/protocol/envelope.ts';
import { secretsText } from '../../src/protocol/secrets-text.ts';
import type { DataKey } from '../../src/sealing/data-key.ts';
import { openValue } from '../../src/sealing/value-format.ts';
import { NUMBERS } from './bare-postgres.ts';
import { answerMessages, listenBare } from './bare-process.ts';
import { ACTIVE_KEYS, unwrapAll } from './data-keys.ts';

export interface LoopSettings {
  /** A file of SQLite's, or the URL of a PostgreSQL. */
  database: string;
  isFile: boolean;
  rootKeyFile: string;
}

interface Row {
  name_hash: Uint8Array;
  version: number;
  ciphertext: Uint8Array;
}

answerMessages<LoopSettings>(async ({ database, isFile, rootKeyFile }) => {
  const { keys, rowsOf } = isFile ? fromFile(database) : await fromPostgres(database);
  const dataKeys = await unwrapAll(keys, rootKeyFile);
  return listenBare(async (request, response) => {
    const owner = request.url?.slice(1) ?? '';
    const dataKey = dataKeys.get(owner) as DataKey;
    const found = rowsOf(owner);
    const rows = found instanceof Promise ? await found : found;
    const secrets = rows.map((row) =>
      openValue(dataKey, { nameHash: row.name_hash, version: row.version }, row.ciphertext),
    );
    secrets.sort((a, b) => (a.name < b.name ? -1 : 1));
    const body = JSON.stringify(succeeded(secretsText(secrets)));
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});

interface Opened {
  /** Of {@link ACTIVE_KEYS}. */
  keys: Record<string, unknown>[];
  rowsOf(owner: string): Row[] | Promise<Row[]>;
}

const ROWS_OF = `select s.name_hash, v.version, v.ciphertext from secrets s
   join secret_versions v on v.secret_id = s.id and v.version = s.current_version
   where s.owner_id = $1`;

function fromFile(path: string): Opened {
  const database = new DatabaseSync(path, { readOnly: true });
  // `node:sqlite` takes `$1` for a name.
  const rows = database.prepare(ROWS_OF.replace('$1', '?'));
  return { keys: database.prepare(ACTIVE_KEYS).all(), rowsOf: (owner) => rows.all(owner) as unknown as Row[] };
}

/** A statement that is prepared, on whichever connection of the library's own pool is free. */
async function fromPostgres(url: string): Promise<Opened> {
  const pool = new pg.Pool({ connectionString: url, types: NUMBERS });
  pool.on('error', () => {}); // The database ends first.
  return {
    keys: (await pool.query(ACTIVE_KEYS)).rows,
    rowsOf: async (owner) => (await pool.query({ name: 'rows', text: ROWS_OF, values: [owner] })).rows,
  };
}
