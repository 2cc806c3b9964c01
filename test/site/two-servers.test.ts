import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { rotateSigningKey } from '../../src/identity/signing-keys.ts';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { SIGNING_KEYS_RECHECK_SECONDS } from '../../src/protocol/limits.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { onPostgres, type TestDatabase } from '../stores.ts';

/** A server on the database with the data folder of that name, below the test's own. */
async function serverIn(t: TestContext, database: TestDatabase, name: string, clock = Date.now): Promise<TestServer> {
  const data = join(database.folder, name);
  return startServer(t, { settings: { data, database: database.url ?? '' }, clock });
}

async function copyRootKeys({ folder }: TestDatabase, from: string, to: string): Promise<void> {
  await mkdir(join(folder, to), { recursive: true, mode: 0o700 });
  await copyFile(join(folder, from, 'root-keys'), join(folder, to, 'root-keys'));
}

onPostgres(
  'a second server without the root key says what to copy, makes none, and starts once it has it',
  async (t, database) => {
    const first = await serverIn(t, database, 'one');
    const token = await first.userToken('alice');
    await first.ask(token, setUserSecrets, { key: 'KEY', value: 'a value' });

    await assert.rejects(serverIn(t, database, 'two'), {
      code: 'ERR_MISCONFIGURED',
      message:
        /there is no root key file at .*two.root-keys; put it back from its safe copy, or copy it from another server of this installation; a command gets the one that systemd gives/,
    });
    assert.deepEqual(
      (await readdir(join(database.folder, 'two'))).filter((name) => /key/.test(name)),
      [],
      'no key was made',
    );
    await copyRootKeys(database, 'one', 'two');
    const second = await serverIn(t, database, 'two');
    const answer = await second.ask(token, getUserSecrets, {});
    assert.deepEqual(JSON.parse(String(answer.data)), { KEY: 'a value' });
  },
);

onPostgres('a server with another root key, or another data folder, refuses to start', async (t, database) => {
  await serverIn(t, database, 'one');
  await mkdir(join(database.folder, 'elsewhere'));
  const other = await startServer(t, { settings: { data: join(database.folder, 'elsewhere', 'data') } });
  await other.stop();
  await mkdir(join(database.folder, 'two'), { mode: 0o700 });
  await copyFile(join(database.folder, 'elsewhere', 'data', 'root-keys'), join(database.folder, 'two', 'root-keys'));
  await assert.rejects(serverIn(t, database, 'two'), {
    code: 'ERR_MISCONFIGURED',
    message:
      /belongs to an installation whose root key "file-.*" this server has not got \(it has "file-.*"\).*Copy the root keys/,
  });
  await assert.rejects(serverIn(t, database, join('elsewhere', 'data')), {
    code: 'ERR_MISCONFIGURED',
    message: /this data folder belongs to the installation .*, and the database to another one/,
  });
});

onPostgres(
  'of two servers that first start at once, one makes the keys and the other is told what to copy',
  async (t, database) => {
    const started = await Promise.allSettled(['one', 'two'].map((name) => serverIn(t, database, name)));
    const refused = started.filter((one) => one.status === 'rejected');
    assert.equal(refused.length, 1);
    assert.match(String(refused[0]?.reason), /Copy the root keys here/);
  },
);

onPostgres('a signing key that was rotated at one server is used by all', async (t, database) => {
  let passed = 0;
  const clock = () => Date.now() + passed;
  const one = await serverIn(t, database, 'one', clock);
  await copyRootKeys(database, 'one', 'two');
  const two = await serverIn(t, database, 'two', clock);
  const before = await one.userToken('alice');
  const { store, key } = one.installation;
  await rotateSigningKey({ store, records: key, clock }, { forgetOlder: true });
  passed += SIGNING_KEYS_RECHECK_SECONDS * 1000;
  const tokens = [await one.userToken('alice'), await two.userToken('alice')];
  for (const server of [one, two]) {
    for (const token of tokens) assert.equal((await server.ask(token, getUserSecrets, {})).success, true);
    assert.match((await server.ask(before, getUserSecrets, {})).message, /does not have/);
  }
});

onPostgres(
  'a database in use that has no key is given one by the data folder that it was used with alone',
  async (t, database) => {
    const first = await serverIn(t, database, 'one');
    const token = await first.userToken('alice');
    await first.ask(token, setUserSecrets, { key: 'KEY', value: 'a value' });
    const { issuer, keys } = await first.installation.issuer.signingKeys.current();
    const { store } = first.installation;
    // As a release before this one left it: no tags, no key, and the signing keys in a file.
    await store.write(async (tx) => {
      await tx.deleteFrom('installation_keys').execute();
      await tx.deleteFrom('signing_keys').execute();
      for (const table of ['owners', 'accounts', 'queues'] as const)
        await tx.updateTable(table).set({ tag: null }).execute();
    });
    await first.stop();
    await rm(join(database.folder, 'one', 'installation.json'));
    const earlier = join(database.folder, 'one', 'signing-key.json');
    await writeFile(earlier, JSON.stringify({ format: 1, issuer, keys }), { mode: 0o600 });

    await copyRootKeys(database, 'one', 'two');
    await assert.rejects(serverIn(t, database, 'two'), {
      message: /the database is in use and has no installation key/,
    });
    const updated = await serverIn(t, database, 'one');
    const answer = await updated.ask(token, getUserSecrets, {});
    assert.deepEqual(JSON.parse(String(answer.data)), { KEY: 'a value' }, 'a token of before');
    assert.deepEqual(
      (await readdir(join(database.folder, 'one'))).filter((name) => name.endsWith('.json')),
      ['installation.json'],
    );
    await serverIn(t, database, 'two');
  },
);
