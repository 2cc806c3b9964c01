/**
 * Measures a move of a database from SQLite to PostgreSQL and back.
 *
 *     PANDA_SECRETS_DATABASE=postgres://... npm run bench:move [-- --rows 1000000]
 *
 * The PostgreSQL should be empty, and has rows afterwards. What is printed is Markdown for docs/performance.md.
 */
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sql } from 'kysely';
import { appendAudit } from '../src/audit/audit.ts';
import { openInstallation } from '../src/site/installation.ts';
import { moveStore, type StorePlace } from '../src/site/move-store.ts';
import { newOwner } from '../test/vault/vaults.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, in: { type: 'string', default: tmpdir() } },
});
const rows = Number(options.rows);
const url = process.env['PANDA_SECRETS_DATABASE'] as StorePlace | undefined;
if (!url) throw new Error('PANDA_SECRETS_DATABASE names the PostgreSQL to move to');
const MEGABYTE = 2 ** 20;

const folder = mkdtempSync(join(options.in, 'panda-move-'));
const data = join(folder, 'data');
const { store, close } = await openInstallation({ data }, { create: true, clock: Date.now });
const owner = await newOwner(store);
const numbers = (count: number) =>
  sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < ${Math.round(count)})`;
await store.write(async (tx) => {
  await sql`insert into data_keys (id, owner_id, root_key_id, wrapped, created_at, active) values ('k', ${owner}, 'r', x'00', 1, 1)`.execute(
    tx,
  );
  await sql`insert into secrets (id, owner_id, data_key_id, name_hash, name_ciphertext, hashed_as, current_version, size, created_at, updated_at)
    values ('s', ${owner}, 'k', x'00', x'00', 'string', 1, 1, 1, 1)`.execute(tx);
  await sql`insert into tasks (id, owner_id, name, unique_name, state, use_secrets, parameters, job_count, max_attempts, created_at, modified_at)
    values (200000, ${owner}, 't', 0, 'done', 0, '{}', 1, 1, 1, 1)`.execute(tx);
  await sql`insert into jobs (task_id, owner_id, serial, state, use_secrets, max_attempts, created_at, modified_at)
    ${numbers(rows * 0.4)} select 200000, ${owner}, i, 'finished', 0, 1, 1767312000000, 1767312000000 from n`.execute(
    tx,
  );
  await sql`insert into deliveries (id, owner_id, task_id, job_id, attempt, pilot_id, queue, node, at, sealed_with)
    ${numbers(rows * 0.3)} select lower(hex(randomblob(16))), ${owner}, 200000, i, 1, lower(hex(randomblob(16))), 'SITE', 'node1', 1767312000000, 'tls' from n`.execute(
    tx,
  );
  await sql`insert into secret_versions (secret_id, version, owner_id, data_key_id, size, created_at, ciphertext)
    ${numbers(rows * 0.1)} select 's', i, ${owner}, 'k', 1, 1, randomblob(1000) from n`.execute(tx);
  for (let entry = 0; entry < rows * 0.2; entry++)
    await appendAudit(tx, Date.now, owner, 'owner', 'secret.set', { entry });
});
await close();

console.log(`${machineOf(folder)}\n`);
console.log('| move | rows | seconds | rows a second | most memory, MiB |');
console.log('|---|---|---|---|---|');
for (const [from, to] of [
  ['sqlite', url],
  [url, 'sqlite'],
] as const) {
  const began = performance.now();
  const { tables } = await moveStore({ data }, { from, to }, { clock: Date.now, onProgress: () => {} });
  const seconds = (performance.now() - began) / 1000;
  const count = tables.reduce((sum, table) => sum + table.rows, 0);
  const what = from === 'sqlite' ? 'SQLite to PostgreSQL' : 'PostgreSQL to SQLite';
  const memory = Math.round((process.resourceUsage().maxRSS * 1024) / MEGABYTE);
  console.log(`| ${what} | ${count} | ${seconds.toFixed(1)} | ${Math.round(count / seconds)} | ${memory} |`);
  if (from === 'sqlite') renameSync(join(data, 'panda.db'), join(folder, 'moved.db'));
}
rmSync(folder, { recursive: true, force: true });
