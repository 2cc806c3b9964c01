import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import { rootKeysOf } from '../../src/sealing/root-keys.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { activateRootKey, rewrapKeys } from '../../src/site/wrapped-keys.ts';
import { WRAPPED_KEY_COLUMNS } from '../../src/store/wrapped-keys.ts';
import { startServer } from '../server/start.ts';
import { eachStore, sqliteDatabase } from '../stores.ts';
import { named, openVault } from '../vault/vaults.ts';

eachStore('every column of the database that holds a wrapped key is in the list', async (_t, database) => {
  const { db } = await database.open();
  const tables = await db.introspection.getTables();
  const wrapped = tables.flatMap(({ name, columns }) =>
    columns.filter((column) => /wrapped/.test(column.name)).map((column) => [name, column.name]),
  );
  const naming = tables.filter(({ columns }) => columns.some((column) => column.name === 'root_key_id'));
  assert.deepEqual(Object.fromEntries(wrapped), WRAPPED_KEY_COLUMNS);
  assert.deepEqual(naming.map(({ name }) => name).sort(), Object.keys(WRAPPED_KEY_COLUMNS).sort());
});

eachStore(
  'after all keys were wrapped anew, a server without the older root key opens secrets, knows its pilots and lets new ones in',
  async (t, database) => {
    const where = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
    const older = join(where.data, 'root-keys');
    const newer = join(where.data, 'newer-root-keys');

    const before = await startServer(t, { settings: where });
    const token = await before.userToken('alice');
    await createClientOf(before.url, token).setSecret(wireName('A'), 'a value');
    const { session } = await before.joinedPilot();
    const unused = await before.joinToken();
    await before.stop();

    await openKeyFile(newer, { create: true });
    const rootKeys = [newer, older].map((path) => pathToFileURL(path).href);
    const installation = await openInstallation({ ...where, rootKeys }, { create: false, clock: Date.now });
    const keys = installation.rootKeys;
    const newerId = keys.ids.find((id) => id !== keys.active.id) ?? '';
    assert.equal(await activateRootKey(installation.store, keys, newerId, async () => {}), true);
    assert.equal(keys.active.id, newerId);
    const done = await rewrapKeys(installation.store, keys);
    assert.deepEqual(
      done,
      { count: 4, left: [] },
      'a data key, two join tokens, a session; the installation key was first',
    );
    assert.equal((await rewrapKeys(installation.store, keys)).count, 0, 'a second time there is nothing left to do');
    await installation.close();
    await rm(older);

    const after = await startServer(t, { settings: { ...where, rootKeys: rootKeys.slice(0, 1) } });
    const secrets = await createClientOf(after.url, token).getSecrets();
    assert.equal(secrets.get(wireName('A'))?.reveal(), 'a value');
    const connection = { url: after.url, vo: 'panda:pilot' };
    const pilot = createClient({ ...connection, signer: session });
    t.after(() => pilot.close());
    assert.ok(await pilot.acquireJobs({ site_name: 'default' }));
    await (await prepareJoin(connection, { token: unused, queue: 'default', node: 'node2' }))();

    function createClientOf(url: string, userToken: string) {
      const client = createClient({ url, vo: 'panda', token: async () => userToken });
      t.after(() => client.close());
      return client;
    }
  },
);

test('a key that was moved from another owner stays unusable: it is not wrapped anew for its new place', async (t) => {
  const database = sqliteDatabase(t);
  const { vault, store, newOwner, rootKeys } = await openVault(t, database);
  const [alice, mallory] = [await newOwner(), await newOwner()];
  for (const owner of [alice, mallory]) await vault.set(owner, named('A'), 'x');
  const stolen = store.db.selectFrom('data_keys').select('wrapped').where('owner_id', '=', alice);
  await store.write((tx) =>
    tx
      .updateTable('data_keys')
      .set({ wrapped: (eb) => eb.parens(stolen).$castTo<Uint8Array>() })
      .where('owner_id', '=', mallory)
      .execute(),
  );
  const newer = await openKeyFile(join(database.folder, 'newer-root-keys'), { create: true });
  const both = rootKeysOf([newer.active, rootKeys.active], newer.active.id);
  const { count, left } = await rewrapKeys(store, both);
  assert.equal(count, 1, "alice's own");
  assert.deepEqual(left, [
    { table: 'data_keys', id: left[0]?.id, rootKeyId: rootKeys.active.id, code: 'ERR_DECRYPTION_FAILED' },
  ]);
});
