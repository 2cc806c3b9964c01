import assert from 'node:assert/strict';
import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createClient } from '../../src/client/client.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import { type Installation, openInstallation } from '../../src/site/installation.ts';
import { createRootKeyAdministration, type RootKeyAdministration } from '../../src/site/keys.ts';
import { noOpenBao, startOpenBao } from '../sealing/openbao.ts';
import { makeToken, noSoftHsm } from '../sealing/softhsm.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { eachStore, sqliteDatabase, type TestDatabase } from '../stores.ts';

interface Site {
  server: TestServer;
  where: { data: string; database?: string };
  /** As `panda-secrets keys` has them, in a process beside the server. */
  keys: RootKeyAdministration;
  installation: Installation;
  uri(name: string): string;
  client(name?: string): Promise<ReturnType<typeof createClient>>;
}

async function startSite(t: TestContext, database: TestDatabase): Promise<Site> {
  const where = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings: where });
  const installation = await openInstallation(where, { create: false, clock: Date.now });
  t.after(() => installation.close());
  return {
    server,
    where,
    installation,
    keys: createRootKeyAdministration(installation, { clock: Date.now }),
    uri: (name) => pathToFileURL(join(where.data, name)).href,
    async client(name = 'alice') {
      const token = await server.userToken(name);
      const client = createClient({ url: server.url, vo: 'panda', token: async () => token });
      t.after(() => client.close());
      return client;
    },
  };
}

const shown = async (client: ReturnType<typeof createClient>, name: string) =>
  (await client.getSecrets()).get(wireName(name))?.reveal();

eachStore(
  'a root key is replaced while the server runs: nobody notices, and the older one can be taken away',
  async (t, database) => {
    const { server, keys, installation, uri, client } = await startSite(t, database);
    const alice = await client();
    await alice.setSecret(wireName('A'), 'before');
    const unused = await server.joinToken();
    const older = installation.rootKeys.active.id;
    await assert.rejects(keys.retire(older), /is the active root key: make another one active first/);

    const newer = await keys.add(uri('newer'));
    await assert.rejects(keys.activate(newer), /the server on .* has not got the root key/);
    await server.reload();
    assert.equal(await keys.activate(newer), true);
    assert.equal(await keys.activate(newer), false);

    // The server has not looked yet, and what it writes from now on is under the newer one all the same.
    assert.equal(server.installation.rootKeys.active.id, older);
    const bob = await client('bob');
    await bob.setSecret(wireName('B'), 'after');
    assert.equal(server.installation.rootKeys.active.id, newer);
    await assert.rejects(
      keys.retire(older),
      /still wraps keys \(1 in data_keys, 1 in join_tokens\): run "panda-secrets keys rewrap"/,
    );

    const seen: number[] = [];
    assert.deepEqual(await keys.rewrap((count) => seen.push(count)), { count: 2, left: [], active: newer });
    assert.deepEqual(seen, [1, 2]);
    const { keys: listed } = await keys.list();
    const wraps = { installation_keys: 1, data_keys: 2, join_tokens: 1 };
    assert.deepEqual(
      listed.map(({ id, active, wraps, missing_on }) => ({ id, active, wraps, missing_on })),
      [
        { id: older, active: false, wraps: {}, missing_on: [] },
        { id: newer, active: true, wraps, missing_on: [] },
      ],
    );
    const { retired, next } = await keys.retire(older);
    assert.equal(retired, true);
    assert.ok(readFileSync(next, 'utf8').includes(older), 'put aside for older backups');
    await server.reload();
    assert.deepEqual(server.installation.rootKeys.ids, [newer]);
    assert.deepEqual([await shown(alice, 'A'), await shown(bob, 'B')], ['before', 'after']);
    await server.stop();

    const again = await startServer(t, {
      settings: { data: database.folder, ...(database.url && { database: database.url }) },
    });
    assert.deepEqual(again.installation.rootKeys.ids, [newer], 'the data folder knows the place');
    await createJoin(again, unused);
  },
);

async function createJoin(server: TestServer, token: Awaited<ReturnType<TestServer['joinToken']>>): Promise<void> {
  const { prepareJoin } = await import('../../src/client/pilot-session.ts');
  const connection = { url: server.url, vo: 'panda:pilot' };
  await (await prepareJoin(connection, { token, queue: 'default', node: 'node1' }))();
}

eachStore('an older wrapped key that is put back after its root key was retired opens nothing', async (t, database) => {
  const { server, keys, installation, uri, client } = await startSite(t, database);
  const alice = await client();
  await alice.setSecret(wireName('A'), 'x');
  const { store, rootKeys } = installation;
  const older = rootKeys.active.id;
  const [before] = await store.db.selectFrom('data_keys').selectAll().execute();
  const newer = await keys.add(uri('newer'));
  await server.reload();
  await keys.activate(newer);
  await keys.rewrap(() => {});
  await keys.retire(older);
  await server.stop();

  const put = { root_key_id: older, wrapped: before?.wrapped as Uint8Array };
  await store.write((tx) => tx.updateTable('data_keys').set(put).execute());
  const where = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const again = await startServer(t, { settings: where });
  const token = await again.userToken('alice');
  const client2 = createClient({ url: again.url, vo: 'panda', token: async () => token });
  t.after(() => client2.close());
  await assert.rejects(client2.getSecrets(), /root key ".*" is not configured on this server/);
  assert.match(again.logs(), /ERR_MISSING_ROOT_KEY/);
});

eachStore('who writes the database cannot make another root key the active one', async (t, database) => {
  const { server, keys, installation, uri, client } = await startSite(t, database);
  const { store, rootKeys } = installation;
  const older = rootKeys.active.id;
  const newer = await keys.add(uri('newer'));
  await server.reload();
  await store.write((tx) => tx.updateTable('installation_keys').set({ root_key_id: newer }).execute());
  await assert.rejects(server.reload(), { code: 'ERR_DECRYPTION_FAILED' });
  assert.equal(server.installation.rootKeys.active.id, older);
  await assert.rejects((await client()).setSecret(wireName('A'), 'x'), 'nothing is kept under either meanwhile');
  assert.deepEqual(await store.db.selectFrom('data_keys').selectAll().execute(), []);
});

eachStore(
  'a half rewrapped database whose other root key is a wrong one keeps what it has, and says which keys are left',
  async (t, database) => {
    const { server, keys, installation, uri, client } = await startSite(t, database);
    for (const name of ['alice', 'bob', 'carol']) await (await client(name)).setSecret(wireName('A'), `of ${name}`);
    const { store, rootKeys } = installation;
    const older = rootKeys.active.id;
    const newer = await keys.add(uri('newer'));
    await server.reload();
    await keys.activate(newer);
    // Broken off after one: and what is left names a key file that somebody swapped for another, under the same id.
    const { rows } = { rows: await store.db.selectFrom('data_keys').selectAll().orderBy('id').execute() };
    const file = join(database.folder, 'root-keys');
    renameSync(file, `${file}.right`);
    const other = join(database.folder, 'other');
    const { active } = await openKeyFile(other, { create: true });
    writeFileSync(file, readFileSync(other, 'utf8').replaceAll(active.id, older), { mode: 0o600 });
    await rootKeys.refresh();
    const wrong = await keys.rewrap(() => {});
    assert.equal(wrong.count, 0);
    assert.deepEqual(
      wrong.left.map(({ table, id, code }) => [table, id, code]),
      rows.map(({ id }) => ['data_keys', id, 'ERR_DECRYPTION_FAILED']),
    );
    assert.deepEqual(await store.db.selectFrom('data_keys').selectAll().orderBy('id').execute(), rows, 'untouched');
    await assert.rejects(keys.retire(older), /still wraps keys \(3 in data_keys\)/);

    cpSync(`${file}.right`, file);
    await rootKeys.refresh();
    assert.equal((await keys.rewrap(() => {})).count, 3);
    await server.reload();
    for (const name of ['alice', 'bob', 'carol']) assert.equal(await shown(await client(name), 'A'), `of ${name}`);
  },
);

/** A place that was refused, or named once more, keeps no server from starting. */
async function startsAgain(database: TestDatabase): Promise<readonly string[]> {
  const again = await openInstallation({ data: database.folder }, { create: false, clock: Date.now });
  const places = again.rootKeys.places.map(({ uri }) => uri);
  await again.close();
  return places;
}

test('a place that is spelled in another way is the place that it is', async (t) => {
  const database = sqliteDatabase(t);
  const { keys, installation } = await startSite(t, database);
  const file = join(database.folder, 'root-keys');
  const added = await keys.add(`file:${file.replace('/root-keys', '/./root-keys')}`);
  assert.deepEqual(installation.rootKeys.places, [
    { uri: pathToFileURL(file).href, keys: [installation.rootKeys.active.id, added] },
  ]);
  assert.deepEqual(await startsAgain(database), [pathToFileURL(file).href]);
});

test('a copy of a key file is not added as a place of its own', async (t) => {
  const database = sqliteDatabase(t);
  const { keys } = await startSite(t, database);
  cpSync(join(database.folder, 'root-keys'), join(database.folder, 'copy'));
  await assert.rejects(keys.add(`file:${join(database.folder, 'copy')}`), {
    code: 'ERR_CONFLICT',
    message: /^file:\/\/\/.*\/copy has a root key "file-.*", and so has file:\/\/\/.*\/root-keys, which/,
  });
  assert.equal((await startsAgain(database)).length, 1);
});

test('a key file that another server made is added as it is', async (t) => {
  const database = sqliteDatabase(t);
  const { keys } = await startSite(t, database);
  const copied = join(database.folder, 'root-keys-2');
  const { active } = await openKeyFile(copied, { create: true });
  const before = readFileSync(copied, 'utf8');
  assert.equal(await keys.add(`file:${copied}`), active.id);
  assert.equal(readFileSync(copied, 'utf8'), before);
  assert.notEqual(await keys.add(`file:${copied}`), active.id, 'another key, where the place is known');
});

test('another address of a key server with the same mount and key is added only under an id of its own', {
  skip: noOpenBao,
}, async (t) => {
  const database = sqliteDatabase(t);
  const bao = await startOpenBao(t);
  const { keys } = await startSite(t, database);
  await keys.add(bao.uri('panda'));
  const other = (more = '') => bao.uri('panda', more).replace('127.0.0.1', 'localhost');
  await assert.rejects(keys.add(other()), { code: 'ERR_CONFLICT', message: /"transit:transit:panda".*"&id=NAME"/ });
  assert.equal((await startsAgain(database)).length, 2);
  assert.equal(await keys.add(other('&id=second')), 'second');
  assert.equal((await startsAgain(database)).length, 3);
});

test('a token whose URI has its parts in another order is the place that it is', { skip: noSoftHsm }, async (t) => {
  const database = sqliteDatabase(t);
  const token = makeToken(t);
  const { keys } = await startSite(t, database);
  const id = await keys.add(token.uri('panda'));
  const [before = '', after = ''] = token.uri('panda').split('?');
  const [first, second] = after.split('&');
  const [label, object] = before.slice('pkcs11:'.length).split(';');
  assert.equal(await keys.add(`PKCS11:${object};type=secret-key;${label}?${second}&${first}`), id);
  assert.deepEqual((await startsAgain(database)).slice(1), [token.uri('panda')]);
});

test('root keys move from a file to Transit, to a token and to a passphrase, and each can go after', {
  skip: noOpenBao || noSoftHsm,
}, async (t) => {
  const database = sqliteDatabase(t);
  const bao = await startOpenBao(t);
  const token = makeToken(t);
  const { server, keys, installation, client } = await startSite(t, database);
  writeFileSync(join(database.folder, 'pw'), 'correct horse battery', { mode: 0o600 });
  const alice = await client();
  await alice.setSecret(wireName('A'), 'kept');
  await server.joinedPilot();
  const places = [
    bao.uri('panda'),
    token.uri('panda'),
    `passphrase:${join(database.folder, 'locked')}?passphrase-file=${join(database.folder, 'pw')}`,
  ];
  for (const place of places) {
    const before = installation.rootKeys.active.id;
    const id = await keys.add(place);
    await server.reload();
    await keys.activate(id);
    assert.equal((await keys.rewrap(() => {})).left.length, 0);
    await keys.retire(before);
    await server.reload();
    assert.deepEqual(server.installation.rootKeys.ids, [id]);
    await alice.setSecret(wireName('B'), place);
    assert.deepEqual([await shown(alice, 'A'), await shown(alice, 'B')], ['kept', place]);
  }
});

test('while Transit is away cached data keys go on, new ones wait for it, and a server starts only with it', {
  skip: noOpenBao,
}, async (t) => {
  const database = sqliteDatabase(t);
  const bao = await startOpenBao(t);
  const settings = { data: database.folder, rootKeys: [bao.uri('panda')] };
  const server = await startServer(t, { settings });
  const token = await server.userToken('alice');
  const alice = createClient({ url: server.url, vo: 'panda', token: async () => token });
  t.after(() => alice.close());
  await alice.setSecret(wireName('A'), 'x');
  const bob = createClient({ url: server.url, vo: 'panda', token: async () => bobsToken });
  const bobsToken = await server.userToken('bob');
  t.after(() => bob.close());

  await bao.call('POST', 'sys/seal');
  await alice.setSecret(wireName('A'), 'y');
  assert.equal(await shown(alice, 'A'), 'y');
  const answer = await fetch(`${server.url}/api/v1/creds/set_user_secrets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bobsToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'A', value: 'x' }),
  });
  assert.equal(answer.status, 503);
  assert.match(((await answer.json()) as { message: string }).message, /the key server is sealed/);
  await server.stop();
  await assert.rejects(startServer(t, { settings }), { code: 'ERR_UNAVAILABLE', message: /is sealed/ });
});
