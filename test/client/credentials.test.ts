import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tokenSource } from '../../src/client/credentials.ts';
import { unprovenClaims } from '../../src/client/unproven-claims.ts';
import { Unauthenticated } from '../../src/protocol/errors.ts';
import { unsignedToken } from './stub-server.ts';

const NOW = Date.UTC(2026, 0, 1);
const token = (sub: string, minutesLeft = 60) => unsignedToken({ sub, exp: NOW / 1000 + 60 * minutesLeft });

test('the token is taken from the first place that has one', async () => {
  using folder = configFolder({ '.token': JSON.stringify({ id_token: token('login'), refresh_token: 'r' }) });
  const file = join(folder.path, 'token-file');
  writeFileSync(file, `${token('file')}\n`);
  const env = { PANDA_CONFIG_ROOT: folder.path };
  assert.equal(await subject(env), 'login');
  assert.equal(await subject({ ...env, OIDC_AUTH_TOKEN_FILE: file }), 'file');
  assert.equal(
    await subject({ ...env, OIDC_AUTH_TOKEN_FILE: file, PANDA_AUTH_ID_TOKEN: ` ${token('given')}\n` }),
    'given',
  );
});

test('without a token the message says where one could be, and how to get one', async () => {
  using folder = configFolder({});
  await refused(
    { PANDA_CONFIG_ROOT: folder.path },
    /PANDA_AUTH_ID_TOKEN.*OIDC_AUTH_TOKEN_FILE.*panda-secrets token NAME/,
  );
});

test('a token that has ended is refused with the time and where it came from', async () => {
  await refused({ PANDA_AUTH_ID_TOKEN: token('a', -2) }, /from PANDA_AUTH_ID_TOKEN\) ended at 2025-12-31 23:58 UTC/);
});

test('a token that ended within the last minute is left to the server: clocks differ', async () => {
  assert.equal(await subject({ PANDA_AUTH_ID_TOKEN: token('a', -0.9) }), 'a');
});

test('what is not a token is refused, and never as a header', async () => {
  for (const text of ['hello', 'a.b.c\r\nX-Evil: 1', 'a b.c.d', '{"id_token": "x"}', 'a.b']) {
    await refused({ PANDA_AUTH_ID_TOKEN: text }, /PANDA_AUTH_ID_TOKEN does not hold a token/);
  }
});

test('a login file that is damaged, and a token file that cannot be read, are named', async () => {
  for (const text of ['', 'null', '{}', '{"id_token": 7}', 'half a {']) {
    using folder = configFolder({ '.token': text });
    await refused({ PANDA_CONFIG_ROOT: folder.path }, /\.token holds no id_token/);
  }
  await refused({ OIDC_AUTH_TOKEN_FILE: '/nowhere/token' }, /names \/nowhere\/token, which cannot be read \(ENOENT\)/);
});

test('claims of what is not a token are none', () => {
  for (const text of ['', 'a.b.c', 'a.bnVsbA.c', '...']) assert.deepEqual(unprovenClaims(text), {});
});

async function subject(env: Record<string, string>): Promise<unknown> {
  return unprovenClaims(await tokenSource(env, () => NOW)())['sub'];
}

async function refused(env: Record<string, string>, message: RegExp): Promise<void> {
  await assert.rejects(tokenSource(env, () => NOW)(), (error: unknown) => {
    assert.ok(error instanceof Unauthenticated);
    assert.match(error.message, message);
    return true;
  });
}

function configFolder(files: Record<string, string>) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'client-test-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  return folder;
}
