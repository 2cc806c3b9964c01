// A bare loop on `node:http`: reads an owner's rows, opens them and makes the JSON. No login, no checks, no log, no cache:
// the cost of a get for any server.

import { DatabaseSync } from 'node:sqlite';
import { succeeded } from '../../src/protocol/envelope.ts';
import { secretsText } from '../../src/protocol/secrets-text.ts';
import type { DataKey } from '../../src/sealing/data-key.ts';
import { openValue } from '../../src/sealing/value-format.ts';
import { answerMessages, listenBare } from './bare-process.ts';
import { unwrapAll } from './data-keys.ts';

export interface LoopSettings {
  database: string;
  rootKeyFile: string;
}

interface Row {
  name_hash: Uint8Array;
  version: number;
  ciphertext: Uint8Array;
}

answerMessages<LoopSettings>(async ({ database: path, rootKeyFile }) => {
  const database = new DatabaseSync(path, { readOnly: true });
  const dataKeys = await unwrapAll(database, rootKeyFile);
  const rowsOf = database.prepare(
    `select s.name_hash, v.version, v.ciphertext from secrets s
     join secret_versions v on v.secret_id = s.id and v.version = s.current_version
     where s.owner_id = ?`,
  );
  return listenBare((request, response) => {
    const owner = request.url?.slice(1) ?? '';
    const dataKey = dataKeys.get(owner) as DataKey;
    const secrets = (rowsOf.all(owner) as unknown as Row[]).map((row) =>
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
