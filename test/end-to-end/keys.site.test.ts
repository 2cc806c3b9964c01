import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createClient } from '../../src/client/client.ts';
import { wireName } from '../../src/protocol/names.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';
import { eachStore } from '../stores.ts';

const OWNERS = 4;

eachStore(
  'root and data keys are replaced by commands that are killed at any moment, while users read and set',
  async (t, database) => {
    const program = pandaSecrets(t);
    const env = database.url === undefined ? {} : { PANDA_SECRETS_DATABASE: database.url };
    const server = await program.serve([], env);
    const users = await Promise.all(
      Array.from({ length: OWNERS }, async (_, n) => {
        await program.run(['user', 'add', `user${n}`], env);
        const token = (await program.run(['token', `user${n}`], env)).stdout.trim();
        const client = createClient({ url: server.url, vo: 'panda', token: async () => token });
        t.after(() => client.close());
        await client.setSecret(wireName('KEPT'), `of user${n}`);
        return client;
      }),
    );
    let stop = false;
    let sets = 0;
    const load = users.slice(0, 3).map(async (user, n) => {
      for (let value = 0; !stop; value++) {
        await user.setSecret(wireName('CHANGED'), String(value));
        const secrets = await user.getSecrets();
        assert.equal(secrets.get(wireName('KEPT'))?.reveal(), `of user${n}`);
        assert.equal(secrets.get(wireName('CHANGED'))?.reveal(), String(value));
        sets++;
      }
    });

    /** Kills the command at a random moment, twice, and then lets it end. */
    async function insist(args: string[]): Promise<string> {
      for (let round = 0; round < 2; round++) {
        const { child, ended } = program.start(args, env);
        const timer = setTimeout(() => child.kill('SIGKILL'), 100 + Math.random() * 700);
        await ended;
        clearTimeout(timer);
      }
      const done = await program.run(args, env);
      assert.equal(done.status, 0, done.stderr);
      return done.stdout;
    }

    try {
      const before = JSON.parse((await program.run(['keys', 'list', '--json'], env)).stdout).data.keys;
      const older = before.find((key: { active: boolean }) => key.active).id;
      const place = pathToFileURL(join(program.data, 'newer')).href;
      const { id: active } = JSON.parse((await program.run(['keys', 'add', place, '--json'], env)).stdout).data;
      server.process.kill('SIGHUP');
      for (;;) {
        const { status, stderr } = await program.run(['keys', 'activate', active], env);
        if (status === 0) break;
        assert.match(stderr, /has not got the root key/);
      }
      await insist(['keys', 'rewrap']);
      await insist(['keys', 'rotate-owner', '--all']);
      assert.match((await program.run(['keys', 'retire', older], env)).stdout, /retired .*: .*retired-/);
      const { keys } = JSON.parse((await program.run(['keys', 'list', '--json'], env)).stdout).data;
      assert.deepEqual(
        keys.map((key: { id: string }) => key.id),
        [active],
      );
      assert.equal(keys[0].wraps.data_keys, OWNERS);
    } finally {
      stop = true;
    }
    await Promise.all(load);
    assert.ok(sets > 0);
    for (const [n, user] of users.entries()) {
      assert.equal((await user.getSecrets()).get(wireName('KEPT'))?.reveal(), `of user${n}`);
    }
    assert.match((await program.run(['audit', 'verify'], env)).stdout, /^whole: /);
  },
);
