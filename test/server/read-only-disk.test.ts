import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createClient } from '../../src/client/client.ts';
import { wireName } from '../../src/protocol/names.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';
import { failingDisk } from '../small-disk.ts';

const NO_WRITES = /the server's disk takes no writes at the moment, and nothing was kept: tell its operator/;

test('on a disk that takes no writes each is refused in words, reads go on, and nothing that was answered is lost', async (t) => {
  const disk = failingDisk(t, 200);
  if (!disk) return;
  const data = join(disk.folder, 'data');
  const program = pandaSecrets(t);
  let server = await program.serve(['--data', data]);
  t.after(() => server.process.kill('SIGKILL'));
  await program.run(['user', 'add', 'alice', '--data', data]);
  const token = (await program.run(['token', 'alice', '--data', data])).stdout.trim();
  const clientOf = () => createClient({ url: server.url, token: async () => token, vo: 'panda' });
  let alice = clientOf();
  t.after(() => alice.close());
  const key = (n: number) => wireName(`KEY_${n}`);
  let kept = 0;
  const writing = (async () => {
    for (;;) {
      await alice.setSecret(key(kept), `value ${kept}`);
      kept += 1;
      if (kept === 5) disk.fail();
    }
  })();
  await assert.rejects(writing, NO_WRITES);
  assert.ok(kept >= 5);
  await assert.rejects(alice.deleteSecret(key(0)), NO_WRITES);
  assert.equal((await alice.getSecrets()).size, kept);

  server.process.kill('SIGKILL');
  await server.ended;
  const again = await program.run(['serve', '--port', '0', '--data', data]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /the database .* cannot be used|the disk takes no writes|EROFS|read-only/i);
  disk.repair();
  alice.close();
  server = await program.serve(['--data', data]);
  alice = clientOf();
  const secrets = await alice.getSecrets();
  for (let n = 0; n < kept; n++) assert.equal(secrets.get(key(n))?.reveal(), `value ${n}`);
  assert.ok(secrets.size <= kept + 1);
  await alice.setSecret(key(0), 'goes on');
  server.process.kill('SIGTERM');
  await server.ended;
});
