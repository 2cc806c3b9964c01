import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { sql } from 'kysely';
import { createClient } from '../../src/client/client.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import { examine } from '../../src/site/doctor.ts';
import type { Finding } from '../../src/site/finding.ts';
import { readSettings } from '../../src/site/settings.ts';
import { LOOPBACK } from '../client/certificates.ts';
import { startServer } from '../server/start.ts';
import { eachStore, sqliteDatabase, type TestDatabase } from '../stores.ts';

const HOUR = 3600_000;

/** An installation with a secret, a server that runs, and what a doctor finds of it. */
async function startSite(t: TestContext, database: TestDatabase) {
  const where = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings: where });
  // The server makes it within ten seconds.
  writeFileSync(join(where.data, 'reserve'), '', { mode: 0o600 });
  chmodSync(where.data, 0o700);
  const token = await server.userToken('alice');
  const client = createClient({ url: server.url, vo: 'panda', token: async () => token });
  t.after(() => client.close());
  await client.setSecret(wireName('A'), 'x');
  const settings = { ...readSettings({}, { HOME: where.data }), ...where };
  return {
    server,
    settings,
    store: server.installation.store,
    async find(more: object = {}, clock: () => number = Date.now): Promise<Finding[]> {
      return (await examine({ ...settings, ...more }, { clock })).filter(({ state }) => state !== 'fine');
    },
  };
}

/** What was found, as `check: words`; each finding says what to do. */
function told(findings: readonly Finding[]): string[] {
  for (const { todo } of findings) assert.ok(todo);
  return findings.map(({ check, state, what }) => `${state} ${check}: ${what}`);
}

eachStore('a doctor finds nothing wrong with a site that is in order', async (t, database) => {
  const { find, settings } = await startSite(t, database);
  assert.deepEqual(told(await find()), []);
  const all = await examine(settings, { clock: Date.now });
  const checks = [
    'files',
    'disk',
    'installation',
    'root keys',
    'schema',
    'clock',
    'audit',
    'storage',
    'orphans',
    'tls',
    'public url',
  ];
  assert.deepEqual(
    all.map(({ check }) => check),
    checks,
  );
});

eachStore('a doctor finds what is wrong in the database', async (t, database) => {
  const { find, store } = await startSite(t, database);
  await store.write((tx) => tx.updateTable('audit').set({ detail: '{}' }).where('action', '=', 'secret.set').execute());
  assert.match(told(await find()).join(), /^wrong audit: chains are broken: .* at entry 1 \(the entry was changed\)$/);
  await store.write((tx) =>
    tx
      .updateTable('audit')
      .set({ detail: '{}', at: Date.now() + HOUR })
      .where('action', '=', 'secret.set')
      .execute(),
  );
  assert.match(
    told(await find()).join(),
    /^wrong clock: the last entry of the audit is 3[56]\d\d seconds in the future/,
  );

  await store.write((tx) => tx.updateTable('secrets').set({ current_version: 7, data_key_id: 'none' }).execute());
  const orphans = told(await find()).filter((line) => /orphans/.test(line));
  assert.deepEqual(orphans, [
    'wrong orphans: 1 secrets name a data key that is not there',
    'wrong orphans: 1 secrets have no current version',
  ]);
  const stolen = (await store.db.selectFrom('installation_keys').select('wrapped_key').executeTakeFirstOrThrow())
    .wrapped_key;
  await store.write((tx) => tx.updateTable('data_keys').set({ wrapped: stolen }).execute());
  assert.ok(
    told(await find()).some((line) =>
      /^wrong root keys: the root key ".*" does not open what names it in data_keys/.test(line),
    ),
  );
});

test('a doctor finds what is wrong with files, and mends what is harmless', async (t) => {
  const { find, settings } = await startSite(t, sqliteDatabase(t));
  const { data } = settings;
  chmodSync(join(data, 'root-keys'), 0o640);
  writeFileSync(join(data, 'root-keys.new'), '', { mode: 0o600 });
  utimesSync(join(data, 'root-keys.new'), 0, 0);
  const found = await find();
  assert.deepEqual(told(found.filter(({ check }) => check === 'files')), [
    `wrong files: others on this machine can use ${join(data, 'root-keys')} (mode 0640)`,
    `warning files: ${join(data, 'root-keys.new')} was left by a change that was broken off: the file beside it cannot be changed`,
  ]);
  assert.ok(
    found.some(({ check, what }) => check === 'installation' && /root key file/.test(what)),
    'and it would not start',
  );
  for (const { fix } of found) await fix?.();
  assert.equal(statSync(join(data, 'root-keys')).mode & 0o777, 0o600);
  assert.deepEqual(told(await find()), []);

  rmSync(join(data, 'reserve'));
  assert.match(told(await find()).join(), /^warning disk: .* there is no reserve/);
  writeFileSync(join(data, 'reserve'), '', { mode: 0o600 });

  // A file that nobody names, and a row whose file is not there.
  const blob = 'ab'.repeat(32);
  mkdirSync(join(data, 'blobs', 'ab'), { recursive: true });
  writeFileSync(join(data, 'blobs', 'ab', blob), '', { mode: 0o600 });
  utimesSync(join(data, 'blobs', 'ab', blob), 0, 0);
  assert.match(told(await find()).join(), /^warning orphans: 1 files in .*blobs are nobody's$/);
  rmSync(join(data, 'blobs', 'ab', blob));
});

test('a doctor looks at every file of root keys, and goes on behind a place that is none', async (t) => {
  const { find, settings, server } = await startSite(t, sqliteDatabase(t));
  const { data } = settings;
  const elsewhere = dirname(data);
  const paths = ['added', 'locked'].map((name) => join(elsewhere, `${basename(data)} 100% ${name}`)) as [
    string,
    string,
  ];
  t.after(() => {
    for (const path of paths) rmSync(path);
  });
  for (const path of paths) writeFileSync(path, '', { mode: 0o640 });
  await server.installation.places.add(pathToFileURL(paths[0]).href);
  await server.installation.places.add(pathToFileURL(paths[1]).href.replace('file://', 'passphrase:'));
  const files = async (more: object = {}) => told((await find(more)).filter(({ check }) => check === 'files'));
  assert.deepEqual(
    await files(),
    paths.map((path) => `wrong files: others on this machine can use ${path} (mode 0640)`),
  );
  chmodSync(join(data, 'installation.json'), 0o644);
  const [first, second] = await files({ rootKeys: ['file:/a%zz'] });
  assert.match(first ?? '', /^wrong files: the root keys of a file are named by its whole path/);
  assert.match(second ?? '', /^wrong files: others on this machine can use .*installation\.json/);
});

test('a doctor finds what a killed backup left, and removes it', async (t) => {
  const { find, settings } = await startSite(t, sqliteDatabase(t));
  const copy = join(settings.data, `backup-${'a'.repeat(36)}`);
  mkdirSync(copy, { mode: 0o700 });
  writeFileSync(join(copy, 'panda.db'), 'names of users', { mode: 0o600 });
  utimesSync(copy, 0, 0);
  const found = await find();
  assert.deepEqual(told(found), [
    `warning files: ${copy} was left by a backup that was killed: a part of the database`,
  ]);
  for (const { fix } of found) await fix?.();
  assert.deepEqual(told(await find()), []);
});

eachStore('a doctor finds tables of a newer release', async (t, database) => {
  const { find, store } = await startSite(t, database);
  const later = { name: '9999-of-a-later-release', timestamp: '2030-01-01T00:00:00.000Z' };
  await store.write((tx) =>
    sql`insert into kysely_migration (name, timestamp) values (${later.name}, ${later.timestamp})`.execute(tx),
  );
  assert.match(
    told(await find()).join(),
    /^wrong installation: the database is of a newer release .*: its tables have 9999-of-a-later-release, /,
  );
});

test('a doctor finds a row without its file, and a server without the active root key', async (t) => {
  const { find, store } = await startSite(t, sqliteDatabase(t));
  await store.write((tx) =>
    tx
      .insertInto('sandboxes')
      .values({
        name: 'jobO.x',
        owner_id: 'x',
        sha256: 'cd'.repeat(32),
        size: 1,
        checksum: '',
        created_at: 0,
        tag: null,
      })
      .execute(),
  );
  await store.write((tx) =>
    tx.insertInto('servers').values({ id: 'other', node: 'node7', root_keys: '[]', seen_at: Date.now() }).execute(),
  );
  const lines = told(await find());
  assert.match(lines.join(), /the server on node7 has not got the active root key/);
  assert.match(lines.join(), /wrong orphans: 1 sandboxes, logs or outputs are not in/);
});

test('a doctor finds a root key that is missing, and one that was swapped under the same id', async (t) => {
  const { find, settings, server } = await startSite(t, sqliteDatabase(t));
  await server.stop();
  const file = join(settings.data, 'root-keys');
  renameSync(file, `${file}.right`);
  const { active } = await openKeyFile(file, { create: true });
  assert.match(told(await find()).join(), /wrong installation: the database belongs to an installation whose root key/);
  const [, id = ''] = /"active": "([^"]+)"/.exec(readFileSync(`${file}.right`, 'utf8')) ?? [];
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(active.id, id), { mode: 0o600 });
  assert.match(told(await find()).join(), /wrong installation: a data key does not open/);
  assert.deepEqual(told(await find({ data: join(settings.data, 'nowhere') })).slice(0, 1), [
    `wrong files: there is no data folder ${join(settings.data, 'nowhere')}`,
  ]);
});

test('a doctor finds an address that does not answer, or answers as something else, and a certificate that ends', async (t) => {
  const { find, settings } = await startSite(t, sqliteDatabase(t));
  const server = createServer((_, response) => response.end('nginx'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const publicUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  assert.match(
    told(await find({ publicUrl })).join(),
    /^wrong public url: .* answers HTTP 200, and not as this software does$/,
  );
  await new Promise((resolve) => server.close(resolve));
  assert.match(told(await find({ publicUrl })).join(), /^wrong public url: .* does not answer \(ECONNREFUSED\)$/);

  const certFile = join(settings.data, 'cert.pem');
  writeFileSync(certFile, LOOPBACK.cert, { mode: 0o600 });
  const days = Math.floor((Date.parse(new X509Certificate(LOOPBACK.cert).validTo) - Date.now()) / (24 * HOUR));
  const tls = { certFile, keyFile: certFile };
  const tlsOf = async (more: object, clock?: () => number) =>
    told((await find({ tls, ...more }, clock)).filter(({ check }) => check === 'tls'));
  assert.deepEqual(await tlsOf({}), []);
  const later = (by: number) => () => Date.now() + by * 24 * HOUR;
  assert.match((await tlsOf({}, later(days - 5))).join(), /^warning tls: the certificate ends in [45] days$/);
  assert.match((await tlsOf({}, later(days + 5))).join(), /^wrong tls: the certificate ended on/);
  assert.match(
    (await tlsOf({ publicUrl: 'https://panda.example.org' })).join(),
    /^wrong tls: the certificate is not for panda\.example\.org/,
  );
  writeFileSync(certFile, 'no certificate');
  assert.match((await tlsOf({})).join(), /is no certificate$/);
});
