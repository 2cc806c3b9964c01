import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { startServer } from '../server/start.ts';
import { run } from './run.ts';

test('a user sees what is used of what they may have, and is refused in words beyond it', async (t) => {
  const server = await startServer(t, {
    settings: { userSecrets: 3, userSecretBytes: 100, userJobs: 7, userFileBytes: 5000 },
  });
  const token = await server.userToken('ada');
  const env = { PANDA_AUTH_ID_TOKEN: token };
  const set = (key: string, value: string) => server.ask(token, setUserSecrets, { key, value });
  for (const key of ['A', 'B']) assert.equal((await set(key, 'x'.repeat(30))).success, true);
  const shown = await run('pbook', ['quota'], server.url, { env });
  assert.match(shown.stdout, /^ *secrets +2 +3\n *bytes of their values, as a job gets them all +60 +100\n/m);
  assert.match(
    shown.stdout,
    /jobs of tasks that have not ended +0 +7\n *bytes of sandboxes, logs and outputs, within 30 days +0 +5 000/,
  );
  const { stdout } = await run('pbook', ['quota', '--json'], server.url, { env });
  assert.deepEqual(JSON.parse(stdout).data[0], { what: 'secrets', used: 2, allowed: 3, days: null });

  const large = await set('C', 'x'.repeat(60));
  assert.match(large.message, /your secrets would have 120 bytes together; at most 100 are allowed/);
  assert.equal((await set('C', 'x')).success, true);
  assert.match((await set('D', 'x')).message, /you keep 3 secrets, and may keep 3 \("pbook quota"\): delete one/);
  // A new value of one that is there is none more.
  assert.equal((await set('C', 'y')).success, true);
});
