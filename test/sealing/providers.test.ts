import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DecryptionFailed, Misconfigured, Unavailable, UnknownFormat } from '../../src/protocol/errors.ts';
import { committedRootKey } from '../../src/sealing/committed-key.ts';
import { openKeyring } from '../../src/sealing/keyring.ts';
import { placesOf } from '../../src/sealing/open-root-keys.ts';
import { passphraseFiles } from '../../src/sealing/passphrase-file.ts';
import type { RootKeyPlaces } from '../../src/sealing/root-keys.ts';
import { LOOPBACK, OTHER_HOST } from '../client/certificates.ts';
import { until } from '../pilot/folders.ts';
import { unlessGone } from '../unless-gone.ts';
import { noOpenBao, startOpenBao } from './openbao.ts';
import { MODULE, makeToken, moduleThat, noCompiler, noFfi, noSoftHsm } from './softhsm.ts';
import { flipped } from './vectors.ts';

const CONTEXT = Buffer.from('context');
const quick = passphraseFiles(4);

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'providers-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function passphraseFile(folder: string, text = 'correct horse battery\n', name = 'pw'): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** The promise of every provider. */
async function keepsItsPromise(t: TestContext, places: RootKeyPlaces, uri: string, otherUri: string): Promise<void> {
  const id = await places.add(uri, {});
  const provider = await places.open(uri, { create: false });
  t.after(() => provider.close());
  const key = provider.get(id);
  const dataKey = randomBytes(32);
  const wrapped = await key.wrap(dataKey, CONTEXT);
  assert.ok(!Buffer.from(wrapped).includes(dataKey));
  assert.notDeepEqual(await key.wrap(dataKey, CONTEXT), wrapped, 'each wrapping is another one');
  assert.deepEqual(Buffer.from(await key.unwrap(wrapped, CONTEXT)), dataKey);

  const again = await places.open(uri, { create: false });
  t.after(() => again.close());
  assert.deepEqual(Buffer.from(await again.get(id).unwrap(wrapped, CONTEXT)), dataKey, 'after a restart');

  await assert.rejects(key.unwrap(wrapped, Buffer.from('another')), DecryptionFailed);
  await assert.rejects(key.unwrap(wrapped.subarray(0, 20), CONTEXT), DecryptionFailed);
  await assert.rejects(key.unwrap(new Uint8Array(), CONTEXT), DecryptionFailed);
  for (const at of [1, wrapped.length - 1]) {
    await assert.rejects(key.unwrap(flipped(Buffer.from(wrapped), at), CONTEXT), DecryptionFailed, `byte ${at}`);
  }
  await assert.rejects(key.unwrap(Buffer.concat([Uint8Array.of(9), wrapped.subarray(1)]), CONTEXT), UnknownFormat);

  const otherId = await places.add(otherUri, {});
  assert.notEqual(otherId, id);
  const other = await places.open(otherUri, { create: false });
  t.after(() => other.close());
  await assert.rejects(other.get(otherId).unwrap(wrapped, CONTEXT), DecryptionFailed, 'under another root key');
}

test('a passphrase file keeps the promise of a provider', async (t) => {
  const folder = emptyFolder(t);
  const uri = (name: string) => `passphrase:${join(folder, name)}?passphrase-file=${passphraseFile(folder)}`;
  await keepsItsPromise(t, quick, uri('keys'), uri('other'));
  assert.equal(statSync(join(folder, 'keys')).mode & 0o777, 0o600);
  assert.match(readFileSync(join(folder, 'keys'), 'latin1'), /^-----BEGIN AGE ENCRYPTED FILE-----/);
});

test('a passphrase file has several keys, and one that is retired is put aside under the passphrase', async (t) => {
  const folder = emptyFolder(t);
  const uri = `passphrase:${join(folder, 'keys')}?passphrase-file=${passphraseFile(folder)}`;
  const [first, second] = [await quick.add(uri, {}), await quick.add(uri, {})];
  const both = await quick.open(uri, { create: false });
  assert.deepEqual(
    both.keys.map(({ id }) => id),
    [first, second],
  );
  const wrapped = await both.get(first).wrap(randomBytes(32), CONTEXT);
  const aside = await quick.retire(uri, first, {});
  assert.deepEqual(
    (await quick.open(uri, { create: false })).keys.map(({ id }) => id),
    [second],
  );
  const put = await quick.open(`passphrase:${aside}?passphrase-file=${join(folder, 'pw')}`, { create: false });
  assert.equal((await put.get(first).unwrap(wrapped, CONTEXT)).length, 32, 'an older backup still opens with it');
  await quick.retire(uri, second, {});
  assert.deepEqual(readdirSync(folder).sort(), [`keys.retired-${first}`, `keys.retired-${second}`, 'pw'].sort());
});

test('a passphrase comes from a private file, a credential or the terminal, and never from the URI', async (t) => {
  const folder = emptyFolder(t);
  const keys = join(folder, 'keys');
  const file = passphraseFile(folder);
  const id = await quick.add(`passphrase:${keys}?passphrase-file=${file}`, {});

  process.env['CREDENTIALS_DIRECTORY'] = folder;
  t.after(() => delete process.env['CREDENTIALS_DIRECTORY']);
  assert.equal((await quick.open(`passphrase:${keys}?credential=pw`, { create: false })).active.id, id);
  await assert.rejects(quick.open(`passphrase:${keys}?credential=../pw`, { create: false }), /without a folder/);

  const asked: string[] = [];
  const ask = async (what: string) => {
    asked.push(what);
    return 'correct horse battery';
  };
  assert.equal((await quick.open(`passphrase:${keys}`, { create: false, ask })).active.id, id);
  assert.deepEqual(asked, [`the root keys ${keys}`]);
  await assert.rejects(quick.open(`passphrase:${keys}`, { create: false }), /no terminal: name "passphrase-file"/);

  for (const secret of ['passphrase=hunter2hunter2', 'password=hunter2hunter2']) {
    const failed = quick.open(`passphrase:${keys}?${secret}`, { create: false });
    await assert.rejects(
      failed,
      (error: Error) => /does not belong/.test(error.message) && !/hunter2/.test(error.message),
    );
  }
  chmodSync(file, 0o644);
  await assert.rejects(
    quick.open(`passphrase:${keys}?passphrase-file=${file}`, { create: false }),
    /others on this machine/,
  );
});

test('a wrong passphrase, a short one and a file of something else are told apart, and nothing is quoted', async (t) => {
  const folder = emptyFolder(t);
  const keys = join(folder, 'keys');
  const uri = (text: string) => `passphrase:${keys}?passphrase-file=${passphraseFile(folder, text)}`;
  await assert.rejects(quick.add(uri('short'), {}), /at least 12 characters/);
  await quick.add(uri('correct horse battery'), {});
  await assert.rejects(quick.open(uri('wrong horse battery'), { create: false }), (error: Error) => {
    assert.ok(error instanceof Misconfigured);
    assert.match(error.message, /the passphrase is wrong, or the file was damaged/);
    assert.doesNotMatch(error.message, /horse/);
    return true;
  });
  writeFileSync(keys, 'something else', { mode: 0o600 });
  await assert.rejects(quick.open(uri('correct horse battery'), { create: false }), /does not open/);
});

test('a key of OpenBao Transit keeps the promise of a provider', { skip: noOpenBao }, async (t) => {
  const bao = await startOpenBao(t);
  await keepsItsPromise(t, placesOf(bao.uri('one')), bao.uri('one'), bao.uri('two'));
});

test('a Transit that is away, sealed, or refuses the token is told with what to do; it is asked again', {
  skip: noOpenBao,
}, async (t) => {
  const bao = await startOpenBao(t);
  const places = placesOf(bao.uri('one'));
  await places.add(bao.uri('one'), {});
  const provider = await places.open(bao.uri('one'), { create: false });
  t.after(() => provider.close());
  const dataKey = randomBytes(32);
  const wrapped = await provider.active.wrap(dataKey, CONTEXT);

  const token = readFileSync(bao.tokenFile);
  writeFileSync(bao.tokenFile, 'ended');
  await assert.rejects(provider.active.unwrap(wrapped, CONTEXT), {
    code: 'ERR_UNAVAILABLE',
    message: /refuses the token/,
  });
  writeFileSync(bao.tokenFile, token);
  assert.deepEqual(Buffer.from(await provider.active.unwrap(wrapped, CONTEXT)), dataKey, 'a token that was renewed');

  await bao.call('POST', 'sys/seal');
  await assert.rejects(provider.active.unwrap(wrapped, CONTEXT), { code: 'ERR_UNAVAILABLE', message: /sealed/ });
});

test('a token with a policy for two paths alone is enough, and a key that is gone is told', {
  skip: noOpenBao,
}, async (t) => {
  const bao = await startOpenBao(t);
  await bao.call('POST', 'transit/keys/one', { type: 'aes256-gcm96' });
  const policy = ['encrypt', 'decrypt']
    .map((act) => `path "transit/${act}/one" { capabilities = ["update"] }`)
    .join('\n');
  await bao.call('POST', 'sys/policies/acl/panda', { policy });
  const made = await fetch(`http://127.0.0.1:${bao.port}/v1/auth/token/create`, {
    method: 'POST',
    headers: { 'x-vault-token': readFileSync(bao.tokenFile, 'utf8').trim() },
    body: JSON.stringify({ policies: ['panda'] }),
  });
  const { auth } = (await made.json()) as { auth: { client_token: string } };
  writeFileSync(bao.tokenFile, auth.client_token);
  const places = placesOf(bao.uri('one'));
  await places.add(bao.uri('one'), {});
  await assert.rejects(places.add(bao.uri('two'), {}), { code: 'ERR_UNAVAILABLE', message: /refuses the token/ });
});

test('a Transit that answers another key, or its own, is found out: the commitment stays here', async (t) => {
  const answers = { encrypt: 'vault:v1:YQ==', decrypt: randomBytes(32).toString('base64') };
  const server = createServer((request, response) => {
    const key = request.url?.includes('/encrypt/') ? 'ciphertext' : 'plaintext';
    response.end(JSON.stringify({ data: { [key]: key === 'ciphertext' ? answers.encrypt : answers.decrypt } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const tokenFile = passphraseFile(emptyFolder(t), 'token');
  const uri = `transit+http://127.0.0.1:${(server.address() as AddressInfo).port}/transit/one?token-file=${tokenFile}`;
  const provider = await placesOf(uri).open(uri, { create: false });
  t.after(() => provider.close());
  const dataKey = randomBytes(32);
  await assert.rejects(provider.active.wrap(dataKey, CONTEXT), /does not give back what it encrypted/);

  answers.decrypt = dataKey.toString('base64');
  const wrapped = await provider.active.wrap(dataKey, CONTEXT);
  assert.deepEqual(Buffer.from(await provider.active.unwrap(wrapped, CONTEXT)), dataKey);
  await assert.rejects(provider.active.unwrap(wrapped, Buffer.from('of another owner')), DecryptionFailed);
  answers.decrypt = randomBytes(32).toString('base64');
  await assert.rejects(provider.active.unwrap(wrapped, CONTEXT), /gave another key than the one that was wrapped/);
});

test('a key server is not followed elsewhere, and one that is not there is told at once', async (t) => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(307, { location: `http://127.0.0.1:${(server.address() as AddressInfo).port}/elsewhere` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const tokenFile = passphraseFile(emptyFolder(t), 'token');
  const uri = `transit+http://127.0.0.1:${(server.address() as AddressInfo).port}/transit/one?token-file=${tokenFile}`;
  const provider = await placesOf(uri).open(uri, { create: false });
  await assert.rejects(provider.active.wrap(randomBytes(32), CONTEXT), /where its token is not sent/);
  assert.deepEqual(seen, ['/v1/transit/encrypt/one']);
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(provider.active.wrap(randomBytes(32), CONTEXT), {
    code: 'ERR_UNAVAILABLE',
    message: /cannot be reached/,
  });
  await provider.close();
});

test('a key server whose certificate a private authority issued is reached by "ca-file" alone, and under its own name', async (t) => {
  const asked: string[] = [];
  const server = createTlsServer(LOOPBACK, (request, response) => {
    asked.push(`${request.headers['x-vault-token']}`);
    response.end(JSON.stringify({ data: { ciphertext: 'vault:v1:YQ==', plaintext: dataKey.toString('base64') } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const dataKey = randomBytes(32);
  const folder = emptyFolder(t);
  const tokenFile = passphraseFile(folder, 'token', 'token');
  const [ca, otherCa] = [join(folder, 'ca.pem'), join(folder, 'other.pem')];
  writeFileSync(ca, LOOPBACK.cert);
  writeFileSync(otherCa, OTHER_HOST.cert);
  const { port } = server.address() as AddressInfo;
  async function wrap(host: string, caFile?: string): Promise<void> {
    const more = caFile === undefined ? '' : `&ca-file=${caFile}`;
    const uri = `transit+https://${host}:${port}/transit/one?token-file=${tokenFile}${more}`;
    const provider = await placesOf(uri).open(uri, { create: false });
    t.after(() => provider.close());
    await provider.active.wrap(dataKey, CONTEXT);
  }
  await assert.rejects(wrap('127.0.0.1'), { code: 'ERR_UNAVAILABLE', message: /\(DEPTH_ZERO_SELF_SIGNED_CERT\)/ });
  await assert.rejects(wrap('127.0.0.1', otherCa), { code: 'ERR_UNAVAILABLE' });
  await assert.rejects(wrap('localhost', ca), { message: /\(ERR_TLS_CERT_ALTNAME_INVALID\)/ });
  assert.deepEqual(asked, [], 'nobody else sees the token');
  await wrap('127.0.0.1', ca);
  assert.deepEqual(asked, ['token', 'token']);
  await assert.rejects(wrap('127.0.0.1', join(folder, 'none.pem')), /certificates .*none\.pem .* cannot be read/);
});

test('a URI of a key server that would show a secret, go in the clear or leave its path is refused', async () => {
  for (const [uri, why] of [
    ['transit+http://bao.example.org/transit/a?token-file=/t', /over https/],
    ['transit+https://bao.example.org/transit/a?token=s.123', /does not belong into a setting/],
    ['transit+https://user:pw@bao.example.org/transit/a?token-file=/t', /are named transit/],
    ['transit+https://bao.example.org/a?token-file=/t', /are named transit/],
    ['transit+https://bao.example.org/transit/a%2Fb?token-file=/t', /are named transit/],
    ['transit+https://bao.example.org/transit/a', /need "token-file"/],
    ['transit+https://bao.example.org/transit/a?token-file=/t&namespace=a%0d%0ab', /namespace/],
  ] as const) {
    await assertRefusedUri(uri, why);
  }
});

test('a URI of a token that would show its PIN, or names no place, is refused', { skip: noFfi }, async () => {
  for (const [uri, why] of [
    ['pkcs11:token=a;object=b?module-path=/m.so&pin-value=1234', /does not belong into a setting/],
    ['pkcs11:token=a;object=b?module-path=m.so&pin-source=/pin', /whole paths/],
    ['pkcs11:token=a?module-path=/m.so&pin-source=/pin', /are named pkcs11/],
  ] as const) {
    await assertRefusedUri(uri, why);
  }
});

async function assertRefusedUri(uri: string, why: RegExp): Promise<void> {
  await assert.rejects(placesOf(uri).open(uri, { create: false }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_MISCONFIGURED', uri);
    assert.match(error.message, why);
    assert.doesNotMatch(error.message, /s\.123|1234|user:pw/);
    return true;
  });
}

test('keys of a PKCS#11 token keep the promise of a provider, and do not leave it', { skip: noSoftHsm }, async (t) => {
  const token = makeToken(t);
  const places = placesOf(token.uri('one'));
  await keepsItsPromise(t, places, token.uri('one'), token.uri('two'));
  await assert.rejects(places.open(token.uri('three'), { create: false }), /there is no AES key "three"/);

  // Ten at once, and more after the module was killed.
  const provider = await places.open(token.uri('one'), { create: false });
  t.after(() => provider.close());
  const dataKey = randomBytes(32);
  const wrapped = await Promise.all(Array.from({ length: 10 }, () => provider.active.wrap(dataKey, CONTEXT)));
  for (const one of wrapped) assert.deepEqual(Buffer.from(await provider.active.unwrap(one, CONTEXT)), dataKey);

  writeFileSync(token.pinFile, '999999');
  await assert.rejects(
    places.open(token.uri('one'), { create: false }),
    /the PIN is refused .*\. It is not tried again/,
  );
  await assert.rejects(
    places.open(token.uri('one').replace('libsofthsm2', 'none'), { create: false }),
    /module .* cannot be loaded/,
  );
  await assert.rejects(
    places.open(token.uri('one').replace('token=panda', 'token=away'), { create: false }),
    Unavailable,
  );
});

/** The processes that load modules for this one. */
function moduleProcesses(): string[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  return children.filter((pid) => {
    if (pid === '') return false;
    return unlessGone(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.includes('pkcs11-module');
  });
}

test('a module that writes to its standard output disturbs nothing, and sees no variable of the server', {
  skip: noSoftHsm || noCompiler,
}, async (t) => {
  const token = makeToken(t);
  const seen = join(emptyFolder(t), 'seen');
  const module = moduleThat(t, {
    first: `puts("{\\"n\\":1,\\"result\\":\\"00\\"}\\nnoise"); fflush(stdout); FILE *f = fopen("${seen}", "w");
    fprintf(f, "%s %s %s", getenv("PANDA_SECRETS_DATABASE"), getenv("PGPASSWORD"), getenv("SOFTHSM2_CONF")); fclose(f);`,
  });
  Object.assign(process.env, { PANDA_SECRETS_DATABASE: 'postgres://panda:hunter2@db/', PGPASSWORD: 'hunter2' });
  t.after(() => {
    for (const name of ['PANDA_SECRETS_DATABASE', 'PGPASSWORD']) delete process.env[name];
  });
  const uri = token.uri('one').replace(MODULE, module);
  const id = await placesOf(uri).add(uri, {});
  const provider = await placesOf(uri).open(uri, { create: false });
  t.after(() => provider.close());
  assert.equal(provider.active.id, id);
  const dataKey = randomBytes(32);
  const wrapped = await provider.active.wrap(dataKey, CONTEXT);
  assert.deepEqual(Buffer.from(await provider.active.unwrap(wrapped, CONTEXT)), dataKey);
  assert.equal(readFileSync(seen, 'utf8'), `(null) (null) ${process.env['SOFTHSM2_CONF']}`);
});

test('a module whose process answers nonsense is ended, and nothing waits for it', {
  skip: noSoftHsm || noCompiler,
}, async (t) => {
  const token = makeToken(t);
  for (const nonsense of ['noise', 'null', '{}']) {
    const module = moduleThat(t, { first: `dprintf(3, "%s\\n", "${nonsense}");` });
    const uri = token.uri('one').replace(MODULE, module);
    await assert.rejects(placesOf(uri).open(uri, { create: true }), {
      code: 'ERR_UNAVAILABLE',
      message: /its module ended/,
    });
  }
  await until(moduleProcesses, (left) => left.length === 0);
});

test('a PIN that is refused is not tried again by who has tried it: the token is not locked by requests', {
  skip: noSoftHsm || noCompiler,
}, async (t) => {
  const token = makeToken(t);
  const tries = join(emptyFolder(t), 'tries');
  const functions = `unsigned long C_Login(unsigned long session, unsigned long user, void *pin, unsigned long length) {
      unsigned long (*login)(unsigned long, unsigned long, void *, unsigned long) = dlsym(RTLD_NEXT, "C_Login");
      FILE *f = fopen("${tries}", "r+");
      if (!f) return login(session, user, pin, length);
      fseek(f, 0, SEEK_END); fputc('x', f); fclose(f);
      return 0xa0;
    }`;
  const uri = token.uri('one').replace(MODULE, moduleThat(t, { functions }));
  await placesOf(uri).add(uri, {});
  const provider = await placesOf(uri).open(uri, { create: false });
  t.after(() => provider.close());
  const wrapped = await provider.active.wrap(randomBytes(32), CONTEXT);
  writeFileSync(tries, '');
  for (const pid of moduleProcesses()) process.kill(Number(pid), 'SIGKILL');
  // The first may still meet the process that is just ending.
  await assert.rejects(provider.active.unwrap(wrapped, CONTEXT));
  for (let n = 0; n < 5; n++) {
    await assert.rejects(provider.active.unwrap(wrapped, CONTEXT), {
      code: 'ERR_MISCONFIGURED',
      message: /the PIN is refused \(CKR 0xa0\)\. It is not tried again/,
    });
  }
  assert.equal(readFileSync(tries, 'utf8'), 'x');
});

test('a place that was opened for a change of places that cannot be made is closed again', {
  skip: noSoftHsm,
}, async (t) => {
  const token = makeToken(t);
  await placesOf(token.uri('one')).add(token.uri('one'), {});
  const folder = emptyFolder(t);
  const [a, b] = ['a', 'b'].map((name) => `file://${join(folder, name)}`) as [string, string];
  let places = [a];
  const keyring = await openKeyring({ list: async () => places, create: true, clock: Date.now });
  t.after(() => keyring.close());
  cpSync(join(folder, 'a'), join(folder, 'b'));
  places = [a, token.uri('one'), b];
  await assert.rejects(keyring.refresh(), /is in two of the places/);
  await until(moduleProcesses, (left) => left.length === 0);
  places = [a, token.uri('one'), 'nothing:x'];
  await assert.rejects(keyring.refresh(), /root keys are named by a URI/);
  await until(moduleProcesses, (left) => left.length === 0);
  assert.equal(keyring.ids.length, 1);
});

test('what is not given back is not kept, whatever the cipher elsewhere does', async () => {
  const mute = committedRootKey('id', 'it', {
    encrypt: async () => Uint8Array.of(1),
    decrypt: async () => new Uint8Array(3),
  });
  await assert.rejects(mute.wrap(randomBytes(32), CONTEXT), Unavailable);
});
