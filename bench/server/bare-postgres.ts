import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { KEPT_VERSIONS } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import type { DataKey } from '../../src/sealing/data-key.ts';
import { sealValue } from '../../src/sealing/value-format.ts';
import type { Secret, StoreSettings } from './bare-store.ts';
import { ACTIVE_KEYS, unwrapAll } from './data-keys.ts';

const INT8_TYPE = 20;

/** For the library: whole numbers as numbers. */
export const NUMBERS: pg.CustomTypesConfig = {
  getTypeParser: (type, format) => (type === INT8_TYPE ? Number : pg.types.getTypeParser(type, format as 'text')),
} as pg.CustomTypesConfig;

const STATEMENTS = {
  begin: 'begin',
  commit: 'commit',
  countChange: 'update owners set revision = revision + 1 where id = $1 returning audit_seq, audit_hash',
  changeSecret: 'update secrets set current_version = $1, size = $2, updated_at = $3 where id = $4',
  insertVersion: `insert into secret_versions (secret_id, version, owner_id, data_key_id, size, created_at, ciphertext)
    values ($1, $2, $3, $4, $5, $6, $7)`,
  deleteOld: 'delete from secret_versions where secret_id = $1 and version <= $2',
  insertAudit: `insert into audit (owner_id, seq, at, actor, action, detail, previous_hash, hash)
    values ($1, $2, $3, 'owner', 'secret.set', $4, $5, $6)`,
  setHead: 'update owners set audit_seq = $1, audit_hash = $2 where id = $3',
};

/** The same for PostgreSQL: single transactions of the library's on one connection, their statements prepared. */
export async function preparePostgresSet({
  database,
  rootKeyFile,
  valueBytes,
}: StoreSettings): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: database, types: NUMBERS });
  client.on('error', () => {}); // The database ends first.
  await client.connect();
  const run = (name: keyof typeof STATEMENTS, values: unknown[] = []) =>
    client.query({ name, text: STATEMENTS[name], values });
  const dataKeys = await unwrapAll((await client.query(ACTIVE_KEYS)).rows, rootKeyFile);
  const { rows: secrets } = await client.query<Secret>(
    'select id, owner_id, data_key_id, name_hash, current_version from secrets order by name_hash',
  );
  const secret = { name: wireName('BENCH_SECRET'), value: new Plaintext(randomBytes(valueBytes / 2).toString('hex')) };
  let turn = 0;

  return async () => {
    const row = secrets[turn++ % secrets.length];
    if (!row) throw new Error('the copy of the database has no secrets');
    const { id, owner_id: owner, data_key_id: dataKeyId, name_hash: nameHash } = row;
    const version = ++row.current_version;
    const now = Date.now();
    await run('begin');
    const [head] = (await run('countChange', [owner])).rows;
    const ciphertext = sealValue(dataKeys.get(owner) as DataKey, { nameHash, version }, secret);
    await run('changeSecret', [version, valueBytes, now, id]);
    await run('insertVersion', [id, version, owner, dataKeyId, valueBytes, now, ciphertext]);
    if (version > KEPT_VERSIONS) await run('deleteOld', [id, version - KEPT_VERSIONS]);
    const detail = `{"secret":"${id}","version":${version}}`;
    const chained = createHash('sha256').update(head.audit_hash ?? '');
    const hash = chained.update(`${owner}${now}${detail}`).digest();
    await run('insertAudit', [owner, head.audit_seq + 1, now, detail, head.audit_hash, hash]);
    await run('setHead', [head.audit_seq + 1, hash, owner]);
    await run('commit');
  };
}
