import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { startServer } from '../server/start.ts';
import { run } from './run.ts';

const DAY = 24 * 3600 * 1000;

test('a secret is given an end, is warned of, and refused when it is over', async (t) => {
  const server = await startServer(t);
  const env = { PANDA_AUTH_ID_TOKEN: await server.userToken('ada') };
  const pbook = (...words: string[]) => run('pbook', words, server.url, { env });
  for (const [name, end] of [
    ['SOON', '2d'],
    ['LATER', '2099-12-31'],
    ['OPEN', 'never'],
  ] as const) {
    assert.equal((await pbook('set_secret', name, 'a value of it', '--expires', end)).stdout, 'INFO : OK\n');
  }
  const listed = await pbook('list_secrets', '--json');
  const secrets = JSON.parse(listed.stdout).data as { name: string; expires?: string; last_used_at: null }[];
  const ends = new Map(secrets.map(({ name, expires }) => [name, expires]));
  assert.deepEqual([ends.get('OPEN'), ends.get('LATER')], [undefined, '2099-12-31T23:59:59Z']);
  const away = Date.parse(ends.get('SOON') ?? '') - Date.now();
  assert.ok(away > 1.9 * DAY && away <= 2 * DAY, String(away));
  assert.match(
    listed.stderr,
    /^WARNING : SOON expires \d{4}-\d\d-\d\d \d\d:\d\d UTC: jobs that start later do not get it\n$/,
  );

  const names = await pbook('list_secrets', '--names');
  assert.match(names.stdout, /LATER : string \(expires 2099-12-31 23:59 UTC; never used\)/);
  assert.match((await pbook('list_secrets', '--unused', '1d')).stdout, /^No secrets$/m);

  const over = await pbook('set_secret', 'SOON', 'v', '--expires', '2020-01-01');
  assert.equal(over.status, 1);
  assert.match(over.stderr, /expires: 2020-01-01 23:59 UTC is over: name a time that is to come, or "never"/);
  for (const end of ['30', 'tomorrow', '2020-02-31']) {
    const refused = await pbook('set_secret', 'SOON', 'v', '--expires', end);
    assert.match(
      refused.stderr,
      /^ERROR : expires: must be a date .* or how long from now on \(12h, 30d\)|^ERROR : expires: must be/,
    );
    assert.equal(refused.status, 1);
  }
});

test('prun warns of an end that is near, and sends no task that names what is over', async (t) => {
  const server = await startServer(t);
  using folder = mkdtempDisposableSync(join(tmpdir(), 'prun-'));
  const env = { PANDA_AUTH_ID_TOKEN: await server.userToken('ada') };
  const options = { env, cwd: folder.path };
  const prun = (...words: string[]) =>
    run('prun', ['--exec', 'true', '--outDS', 'user.ada.x', '--noBuild', ...words], server.url, options);
  await run('pbook', ['set_secret', 'SOON', 'a value', '--expires', '1d'], server.url, { env });
  await run('pbook', ['set_secret', 'OVER', 'a value', '--expires', '1d'], server.url, { env });
  const { store } = server.installation;
  const [over] = await store.db.selectFrom('secrets').select('id').orderBy('created_at', 'desc').limit(1).execute();
  await store.write((tx) =>
    tx
      .updateTable('secrets')
      .set({ expired_at: 1 })
      .where('id', '=', over?.id ?? '')
      .execute(),
  );
  const refused = await prun('--useSecrets=SOON,OVER');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /OVER expired at .* UTC: no job gets it any more/);
  const sent = await prun('--useSecrets');
  assert.equal(sent.status, 0, sent.stderr);
  assert.match(sent.stderr, /WARNING : SOON expires .* UTC: jobs that start later do not get it/);
  assert.match(sent.stderr, /WARNING : OVER expired at .* UTC: no job gets it any more/);
});

test('a value goes to no server that would forget its end', async () => {
  await using stub = await startStub({
    'creds/list_user_secrets': () => ok([{ name: 'OTHER', kind: 'string', queues: null, mask: null }]),
    'creds/set_user_secrets': () => ok(),
  });
  const { status, stderr } = await run('pbook', ['set_secret', 'K', 'v', '--expires', '1d'], stub.url);
  assert.equal(status, 1);
  assert.match(stderr, /the server is of an earlier release and knows no expires of a secret: nothing was sent/);
  assert.ok(!stub.seen.some(({ path }) => path.includes('set_user_secrets')));
});
