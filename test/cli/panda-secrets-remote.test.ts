import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pandaSecrets } from './panda-secrets.ts';

test('an operator administers a server elsewhere by the same commands, with a token of their own', async (t) => {
  const [site, elsewhere] = [pandaSecrets(t), pandaSecrets(t)];
  const { url } = await site.serve();
  await site.run(['user', 'add', 'olga', '--operator']);
  const token = (await site.run(['token', 'olga'])).stdout.trim();
  const run = (...args: string[]) => elsewhere.run([...args, '--server', url], { PANDA_AUTH_ID_TOKEN: token });
  const printed = async (...args: string[]) => {
    const { status, stdout, stderr } = await run(...args);
    assert.deepEqual([status, stderr], [0, ''], args.join(' '));
    return stdout;
  };

  const added = await printed('user', 'add', 'Alice', '--display-name', 'Alice Doe');
  const [link = ''] = /http\S+\/password\/\S+/.exec(added) ?? [];
  assert.ok(link.startsWith(`${url}/`), added);
  assert.equal((await fetch(link)).status, 200);
  assert.match(await printed('user', 'password', 'alice'), /http\S+\/password\//);
  assert.match(await printed('user', 'list'), /alice +Alice Doe +user .*\n +olga +olga +operator/);
  assert.equal(await printed('user', 'disable', 'alice'), 'disabled alice\n');
  assert.equal(await printed('user', 'enable', 'alice'), 'enabled alice\n');

  assert.match(await printed('queue', 'add', 'SLURM'), /^added SLURM/);
  assert.match(await printed('queue', 'list'), /SLURM +open +sealed only/);
  assert.equal(await printed('queue', 'add', 'SLURM'), 'SLURM exists already, unchanged: open, secrets sealed only\n');
  assert.equal(
    await printed('queue', 'set', 'SLURM', '--allow-tls-secrets'),
    'changed SLURM: secrets sealed only -> sealed, or over TLS alone\n',
  );
  assert.equal(
    await printed('queue', 'set', 'SLURM', '--no-allow-tls-secrets'),
    'changed SLURM: secrets sealed, or over TLS alone -> sealed only\n',
  );
  assert.equal(await printed('queue', 'pause', 'SLURM'), 'changed SLURM: open -> paused\n');
  assert.equal(await printed('queue', 'drain', 'SLURM'), 'changed SLURM: paused -> draining\n');
  assert.match(await printed('queue', 'list'), /SLURM +draining +sealed only/);
  assert.equal(await printed('queue', 'resume', 'SLURM'), 'changed SLURM: draining -> open\n');
  assert.equal(await printed('queue', 'resume', 'SLURM'), 'SLURM is unchanged: open, secrets sealed only\n');
  assert.match(await printed('queue', 'add', 'OLD'), /^added OLD/);
  assert.equal(await printed('queue', 'remove', 'OLD'), 'removed OLD\n');
  assert.match(await printed('queue', 'load', 'SLURM'), /WAITING +RUNNING +PILOTS\n.*\n +0 +0 +0 *\n/);
  assert.match(await printed('pilot-token', '--queue', 'SLURM', '--ttl', '30m'), /^join-\S+\n$/);
  assert.equal(await printed('pilot', 'list'), 'no pilots\n');
  const mistakes: [args: string[], status: number, message: RegExp][] = [
    [['pilot', 'end', 'none'], 1, /no pilot "none"/],
    [['user', 'add', 'alice'], 1, /there is an account "alice" already/],
    [['user', 'add', 'eve', '--operator'], 2, /'--server <url>' cannot be used with option '--operator'/],
    [['user', 'password', 'alice', '--password-stdin'], 2, /cannot be used with option '--password-stdin'/],
    [['queue', 'list', '--data', 'x'], 2, /cannot be used with option '--data <dir>'/],
    [['user', 'remove', 'alice'], 2, /unknown option '--server'/],
  ];
  for (const [args, status, message] of mistakes) {
    const done = await run(...args);
    assert.deepEqual([done.status, done.stdout], [status, ''], args.join(' '));
    assert.match(done.stderr, message);
  }

  const alices = (await site.run(['token', 'alice'])).stdout.trim();
  const refused = await elsewhere.run(['user', 'list', '--server', url], { PANDA_AUTH_ID_TOKEN: alices });
  assert.deepEqual([refused.status, refused.stdout], [1, '']);
  assert.match(refused.stderr, /^panda-secrets: this call is for operators, and the token is a user's\n$/);
  const nobody = await elsewhere.run(['user', 'list', '--server', url]);
  assert.match(nobody.stderr, /not logged in/);
});
