import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createClient } from '../../src/client/client.ts';
import { followLogs } from '../../src/client/follow-logs.ts';
import { startSite } from './site.ts';

test('what a job prints reaches its owner while it runs, masked, and the rest when it ends', async (t) => {
  const site = await startSite(t);
  const user = await site.user('adoe');
  await user.pbook('set_secret', 'MY_SECRET', 'random_string');
  // The job ends when this answers: after the test has seen the first line.
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const gate = createServer((_request, response) => opened.then(() => response.end())).listen(0, '127.0.0.1');
  t.after(() => gate.close());
  await once(gate, 'listening');
  const { port } = gate.address() as AddressInfo;
  const wait = `python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${port}/')"`;
  const job = `echo "before $MY_SECRET"; ${wait}; echo after`;
  const { stdout } = await user.prun('--exec', job, '--outDS', 'user.adoe.live', '--useSecrets=MY_SECRET');
  const task = Number(/jediTaskID=(\d+)/.exec(stdout)?.[1]);
  const pilot = site.pilot();

  const client = createClient({ url: site.url, token: async () => user.token, vo: 'panda' });
  t.after(() => client.close());
  let text = '';
  for await (const { bytes } of followLogs(client, task, { everySeconds: 0.2 })) {
    text += Buffer.from(bytes).toString();
    if (!text.includes('before ***\n')) continue;
    if (!text.includes('after')) {
      assert.equal((await client.getTaskStatus(task)) === 'done', false, 'it still runs');
      const sofar = await user.pbook('logs', String(task));
      assert.match(sofar.stdout, /\nbefore \*\*\*\n$/);
      open();
    }
  }
  assert.equal((await pilot).status, 0);
  assert.match(text, /\nbefore \*\*\*\nafter\npanda-pilot: the payload finished\n$/);
  assert.doesNotMatch(text, /random_string/);
  assert.equal((await user.pbook('logs', String(task))).stdout, text, 'the same, byte for byte, as the whole log');
});
