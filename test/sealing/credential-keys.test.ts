import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pandaSecrets } from '../cli/panda-secrets.ts';

test('a server reads its root key from the credential that systemd gives it, and from nowhere else then', async (t) => {
  const program = pandaSecrets(t);
  const credentials = join(program.data, '..', 'credentials');
  mkdirSync(credentials);
  const stop = async (server: Awaited<ReturnType<typeof program.serve>>) => {
    server.process.kill('SIGTERM');
    await server.ended;
  };
  await stop(await program.serve());
  const credential = join(credentials, 'panda-secrets.root-keys');
  copyFileSync(join(program.data, 'root-keys'), credential);
  rmSync(join(program.data, 'root-keys'));
  chmodSync(credential, 0o440); // As systemd of some releases has it: its folder is the server's alone.

  const given = { CREDENTIALS_DIRECTORY: credentials };
  await stop(await program.serve([], given));
  const list = await program.run(['keys', 'list'], given);
  assert.match(list.stdout, /credential:panda-secrets\.root-keys/);
  const named = { ...given, PANDA_SECRETS_ROOT_KEYS: 'credential:panda-secrets.root-keys' };
  assert.equal((await program.run(['user', 'list'], named)).status, 0);

  const without = await program.run(['user', 'list'], { PANDA_SECRETS_ROOT_KEYS: named.PANDA_SECRETS_ROOT_KEYS });
  assert.equal(without.status, 1);
  assert.match(without.stderr, /the root keys are the credential "panda-secrets\.root-keys".*LoadCredential=/);
  assert.match((await program.run(['user', 'list'])).stderr, /no root key file at/, 'none is made in its place');
  const added = await program.run(['keys', 'add', 'credential:other'], given);
  assert.match(added.stderr, /a credential is read only/);
  const elsewhere = await program.run(['user', 'list'], {
    ...given,
    PANDA_SECRETS_ROOT_KEYS: 'credential:../root-keys',
  });
  assert.match(elsewhere.stderr, /a credential is named without a folder/);
  writeFileSync(join(credentials, 'text'), 'a secret that no message repeats');
  const text = await program.run(['user', 'list'], { ...given, PANDA_SECRETS_ROOT_KEYS: 'credential:text' });
  assert.match(text.stderr, /the credential text is not a root key file: it is not JSON\n/);
  assert.doesNotMatch(text.stderr, /no message repeats/);
});
