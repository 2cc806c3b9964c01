import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import { createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { NOW, siteOf } from '../sealed/device.ts';
import { pandaSecrets } from './panda-secrets.ts';

test('accounts, tokens and queues are administered while the server runs', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  assert.match((await program.run(['user', 'add', 'Alice', '--display-name', 'Alice Doe'])).stdout, /added alice/);
  assert.deepEqual(await program.run(['user', 'add', 'alice']), {
    status: 1,
    stdout: '',
    stderr: 'panda-secrets: there is an account "alice" already\n',
  });

  const { stdout, stderr } = await program.run(['token', 'alice', '--ttl', '30m']);
  assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/, 'the token is all that is printed');
  assert.equal(stderr, '');
  const { exp = 0, iat = 0, name } = decodeJwt(stdout.trim());
  assert.deepEqual([exp - iat, name], [1800, 'Alice Doe']);
  const who = async (token: string) => {
    const headers = { authorization: `Bearer ${token.trim()}` };
    const answer = await fetch(`${server.url}/api/v1/system/get_user_attributes`, { headers });
    return (await answer.json()) as { success: boolean; message: string; data: Record<string, unknown> };
  };
  assert.equal((await who(stdout)).data['display_name'], 'Alice Doe');

  assert.match((await program.run(['queue', 'add', 'SLURM', '--allow-tls-secrets'])).stdout, /added SLURM/);
  const queues = await program.run(['queue', 'list']);
  assert.match(queues.stdout, / SLURM +open +sealed, or over TLS alone\n default +open +sealed only\n/);
  const pilot = await program.run(['pilot-token', '--queue', 'SLURM', '--bearer']);
  assert.deepEqual((await who(pilot.stdout)).data['queues'], ['SLURM']);

  const join = await program.run(['pilot-token', '--queue', 'SLURM', '--ttl', '30m']);
  assert.match(join.stdout, /^join-[0-9a-f]{16}\.[\w-]{43}\n$/, 'the token is all that is printed');
  assert.deepEqual([join.stderr, (await program.run(['pilot', 'list'])).stdout], ['', 'no pilots\n']);
  const connection = { url: server.url, vo: 'panda:pilot' };
  const request = { token: parseJoinToken(join.stdout.trim()), queue: 'SLURM' };
  const session = await (await prepareJoin(connection, { ...request, node: 'node1' }))();
  await assert.rejects((await prepareJoin(connection, { ...request, node: 'thief' }))(), /used already/);
  const pilots = (await program.run(['pilot', 'list'])).stdout;
  assert.match(pilots, new RegExp(`${session.pilotId} +SLURM +node1 .* active\n`));
  assert.match(
    pilots,
    /REFUSED: join-[0-9a-f]{16} of queue SLURM, .* used again once, last at .* on "thief", with another key/,
  );
  assert.deepEqual((await program.run(['pilot', 'end', session.pilotId])).stdout, `ended ${session.pilotId}\n`);
  const { pilots: listed, refused } = JSON.parse((await program.run(['pilot', 'list', '--json'])).stdout).data;
  assert.deepEqual([listed[0].state, refused.length], ['ended by operator', 1]);
  const ended = createClient({ ...connection, signer: session });
  await assert.rejects(ended.acquireJobs({ site_name: 'SLURM' }), /session has ended: the operator ended it/);
  ended.close();

  assert.match((await program.run(['user', 'list'])).stdout, /alice +Alice Doe +user +\d{4}-\d\d-\d\d/);
  assert.equal((await who(stdout)).data['kind'], 'user');
  assert.equal((await program.run(['user', 'role', 'Alice', 'operator'])).stdout, 'alice is an operator\n');
  assert.match((await program.run(['user', 'list'])).stdout, /alice +Alice Doe +operator/);
  assert.match((await program.run(['user', 'disable', 'alice'])).stdout, /disabled alice/);
  assert.match((await program.run(['token', 'alice'])).stderr, /"alice" is disabled/);
  const [account] = JSON.parse((await program.run(['user', 'list', '--json'])).stdout).data;
  assert.deepEqual([account.name, account.disabled], ['alice', true]);
  await program.run(['user', 'remove', 'alice']);
  assert.match((await program.run(['user', 'list'])).stdout, /no accounts/);
});

test('a launcher is added, gets another token, and is removed', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  await program.run(['queue', 'add', 'SLURM']);
  assert.equal((await program.run(['launcher', 'list'])).stdout, 'no launchers\n');
  const queues = ['--queue', 'SLURM', '--queue', 'default'];
  const added = await program.run(['launcher', 'add', 'Login1', ...queues, '--ttl', '30d']);
  assert.match(added.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/, 'the token is all that is printed');
  const launcher = createClient({ url: server.url, vo: 'panda', token: async () => added.stdout.trim() });
  t.after(() => launcher.close());
  assert.equal((await launcher.launching.getLoad({ queue: 'SLURM' })).waiting, 0);
  assert.match(
    (await program.run(['launcher', 'list'])).stdout,
    /login1 +SLURM,default +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d\n/,
  );
  assert.match(
    (await program.run(['launcher', 'add', 'login1', ...queues])).stderr,
    /already; "panda-secrets launcher renew login1"/,
  );
  const { exp = 0, iat = 0 } = decodeJwt((await program.run(['launcher', 'renew', 'login1'])).stdout.trim());
  assert.equal(exp - iat, 366 * 24 * 3600);
  assert.equal((await program.run(['launcher', 'remove', 'LOGIN1'])).stdout, 'removed login1\n');
  assert.match((await program.run(['launcher', 'remove', 'login1'])).stderr, /there is no launcher "login1"/);
  await assert.rejects(launcher.launching.getLoad({ queue: 'SLURM' }), /the token is void/);
});

test('the link of a new account is at the address where the server listens, whichever port it took', async (t) => {
  const program = pandaSecrets(t);
  const { url } = await program.serve();
  const { stdout } = await program.run(['user', 'add', 'alice']);
  const [link = ''] = /http\S+\/password\/\S+/.exec(stdout) ?? [];
  assert.ok(link.startsWith(`${url}/`), stdout);
  assert.equal((await fetch(link)).status, 200);
});

test('every misuse is told, with the way out', async (t) => {
  const program = pandaSecrets(t);
  const early = await program.run(['token', 'alice']);
  assert.equal(early.status, 1);
  assert.match(early.stderr, /no panda-secrets data in .*start the server once/);

  const server = await program.serve();
  const cases: [args: string[], status: number, message: RegExp][] = [
    [['token', 'nobody'], 1, /no account "nobody"; add it with "panda-secrets user add nobody"/],
    [['token', 'alice', '--ttl', 'long'], 2, /A time is a number and s, m, h or d/],
    [['token', 'alice', '--ttl', '0'], 2, /A time is a number/],
    [['token'], 2, /missing required argument 'name'/],
    [['user', 'add', 'no spaces'], 1, /cannot be an account's name/],
    [['user', 'disable', 'nobody'], 1, /no account "nobody"/],
    [['user', 'role', 'alice', 'root'], 2, /Allowed choices are user, operator/],
    [['user', 'role', 'nobody', 'operator'], 1, /no account "nobody"/],
    [['user', 'rename', 'x'], 2, /unknown command 'rename'/],
    [['pilot-token', '--queue', 'nowhere'], 1, /no queue "nowhere"; the queues are default.*queue add nowhere/],
    [['pilot-token'], 2, /required option '--queue <name>'/],
    [['pilot', 'end', 'pilot-nobody'], 1, /no pilot "pilot-nobody"/],
    [['queue', 'add', 'a b'], 1, /cannot be a queue's name/],
    [
      ['queue', 'add', 'default', '--allow-tls-secrets'],
      1,
      /already, .*nothing was changed.*queue set default --allow/,
    ],
    [['queue', 'set', 'default'], 2, /--allow-tls-secrets or --no-allow-tls-secrets/],
    [['queue', 'drain', 'nowhere'], 1, /no queue "nowhere"; the queues are default/],
    [['queue', 'remove', 'nowhere'], 1, /no queue "nowhere"/],
    [
      ['server'],
      2,
      /^panda-secrets: unknown command 'server' \(Did you mean serve\?\) \("panda-secrets --help" tells more\)\n$/,
    ],
    [['serve', '--prot', '1'], 2, /unknown option '--prot'/],
    [['token', 'alice', '--vo', 'a/b'], 1, /no account "alice"/],
  ];
  const done = await Promise.all(cases.map(([args]) => program.run(args)));
  for (const [index, [args, status, message]] of cases.entries()) {
    assert.equal(done[index]?.status, status, args.join(' '));
    assert.equal(done[index]?.stdout, '', args.join(' '));
    assert.match(done[index]?.stderr ?? '', message);
  }
  server.process.kill('SIGTERM');
  assert.equal((await server.ended).status, 0);
});

test('help tells the commands, and is no mistake', async (t) => {
  const { status, stdout } = await pandaSecrets(t).run(['--help']);
  assert.equal(status, 0);
  for (const command of ['serve', 'user', 'token', 'pilot-token', 'pilot', 'queue'])
    assert.ok(stdout.includes(command));
});

test("a site's record is published for its queue, from its file or as text, and nothing else is", async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  await program.run(['user', 'add', 'alice']);
  const token = (await program.run(['token', 'alice'])).stdout.trim();
  const shown = async () => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${server.url}/api/v1/creds/get_site_record?queue=default`, { headers });
    return ((await answer.json()) as { data: string | null }).data;
  };
  const first = await siteOf(1);
  const file = join(program.data, 'site.key.pub');
  const publish = (given: string, ...options: string[]) =>
    program.run(['queue', 'site-key', 'default', given, ...options]);
  assert.equal(await shown(), null);
  writeFileSync(file, `${first.word}\n`);
  const done = await publish(file);
  assert.match(
    done.stdout,
    new RegExp(`^default: the record of site ${first.id} until \\d{4}-\\d\\d-\\d\\d;`),
    done.stderr,
  );
  assert.equal(await shown(), first.word);
  const later = await siteOf(1, { serial: 2 });
  const { data } = JSON.parse((await publish(later.word, '--json')).stdout);
  assert.deepEqual(data, { queue: 'default', site: first.id, until: data.until });
  assert.equal(await shown(), later.word);

  const cases: [string, string, RegExp][] = [
    ['no file', join(program.data, 'none'), /none cannot be read \(ENOENT\)/],
    ['no record', join(program.data, 'root-keys'), /malformed/],
    ['of another queue', (await siteOf(1, { queue: 'elsewhere' })).word, /another queue's/],
    ['ended', (await siteOf(1, { from: NOW - 200_000, end: NOW - 10 })).word, /has ended/],
    ['changed', later.word.replace(/^./, 'f'), /malformed|not signed/],
  ];
  for (const [what, given, message] of cases) {
    const { status, stderr } = await publish(given);
    assert.equal(status, 1, what);
    assert.match(stderr, message, what);
  }
  const unknown = await program.run(['queue', 'site-key', 'elsewhere', (await siteOf(1, { queue: 'elsewhere' })).word]);
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /elsewhere/);
  assert.equal(await shown(), later.word);
});
