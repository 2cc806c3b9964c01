import assert from 'node:assert/strict';
import { getUserSecrets, listUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { run } from '../cli/run.ts';
import { eachStore } from '../stores.ts';
import { startServer } from './start.ts';

eachStore(
  'one damaged secret: its owner sees the others, is told its id and deletes it by that',
  async (t, database) => {
    const settings = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
    const server = await startServer(t, { settings });
    const token = await server.userToken('alice');
    for (const key of ['GOOD', 'BAD']) await server.ask(token, setUserSecrets, { key, value: `value of ${key}` });
    const listed = (await server.ask(token, listUserSecrets, {})).data as { id: string; name: string }[];
    const id = listed.find(({ name }) => name === 'BAD')?.id ?? '';
    const { store } = server.installation;
    await store.write(async (tx) => {
      await tx.deleteFrom('secret_versions').where('secret_id', '=', id).execute();
      await tx
        .updateTable('secrets')
        .set({ name_ciphertext: Buffer.alloc(40, 1) })
        .where('id', '=', id)
        .execute();
      await tx.updateTable('owners').set({ revision: 99 }).execute();
    });

    const all = await server.ask(token, getUserSecrets, {});
    assert.deepEqual([all.success, JSON.parse(String(all.data))], [true, { GOOD: 'value of GOOD' }]);
    assert.match(all.message, /^1 of your secrets is damaged/);
    const bad = await server.ask(token, getUserSecrets, { keys: ['BAD'] });
    assert.deepEqual([bad.success, bad.data], [false, null]);
    assert.match(bad.message, new RegExp(`${id} is damaged: .* missing from the database`));
    const names = await server.ask(token, listUserSecrets, {});
    assert.deepEqual(
      (names.data as { name: string }[]).map(({ name }) => name),
      ['GOOD'],
    );
    assert.match(names.message, /damaged/);
    assert.match(server.logs(), new RegExp(`"damagedSecrets":\\["${id}"\\]`));
    assert.doesNotMatch(server.logs(), /GOOD|BAD/);

    const pbook = (...words: string[]) => run('pbook', words, server.url, { env: { PANDA_AUTH_ID_TOKEN: token } });
    const shown = await pbook('list_secrets');
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /GOOD : value of GOOD/);
    assert.match(
      shown.stderr,
      new RegExp(`^WARNING : 1 of your secrets is damaged.*id ${id}, version 1, 12 bytes, made 20`),
    );
    assert.equal((await pbook('delete_secret', `id=${id}`)).stderr, '');
    assert.equal((await pbook('list_secrets')).stderr, '');
    const again = await pbook('delete_secret', `id=${id}`);
    assert.deepEqual([again.status, again.stderr], [1, `ERROR : you have no secret with the id ${id}\n`]);
  },
);
