import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openKeyring } from '../../src/sealing/keyring.ts';
import { canonicalPlace } from '../../src/sealing/open-root-keys.ts';

const CONTEXT = Buffer.from('context');
const KEY = Buffer.from('0123456789abcdef0123456789abcdef');

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'root keys #'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function openRootKeys(uris: readonly string[], { create }: { create: boolean }) {
  return openKeyring({ list: async () => uris, create, clock: Date.now });
}

const uriOf = (...path: string[]) => pathToFileURL(join(...path)).href;

test('root keys of a file are opened by its URI, whatever signs its path has', async (t) => {
  const folder = emptyFolder(t);
  const { active } = await openRootKeys([uriOf(folder, 'a ? 100%')], { create: true });
  assert.ok(existsSync(join(folder, 'a ? 100%')));
  const wrapped = await active.wrap(KEY, CONTEXT);
  const again = await openRootKeys([uriOf(folder, 'a ? 100%')], { create: false });
  assert.deepEqual(await again.get(active.id).unwrap(wrapped, CONTEXT), KEY);
});

test('with several places the first one wraps, and each opens what it wrapped', async (t) => {
  const folder = emptyFolder(t);
  const [older, newer] = [uriOf(folder, 'older'), uriOf(folder, 'newer')];
  const before = await openRootKeys([older], { create: true });
  const wrapped = await before.active.wrap(KEY, CONTEXT);
  const { active } = await openRootKeys([newer], { create: true });
  const both = await openRootKeys([newer, older], { create: false });
  assert.equal(both.active.id, active.id);
  assert.deepEqual(await both.get(before.active.id).unwrap(wrapped, CONTEXT), KEY);
});

test('only the first place may be made: one that is named besides is needed for what it wrapped', async (t) => {
  const folder = emptyFolder(t);
  const places = [uriOf(folder, 'newer'), uriOf(folder, 'older')];
  await assert.rejects(openRootKeys(places, { create: true }), /there is no root key file at .*older/);
  assert.ok(!existsSync(join(folder, 'older')));
});

test('a key that is in two places is refused: it could not be told which of them is meant', async (t) => {
  const folder = emptyFolder(t);
  await openRootKeys([uriOf(folder, 'a')], { create: true });
  cpSync(join(folder, 'a'), join(folder, 'b'));
  await assert.rejects(openRootKeys([uriOf(folder, 'a'), uriOf(folder, 'b')], { create: false }), {
    code: 'ERR_MISCONFIGURED',
    message: /in two of the places/,
  });
});

test('a scheme that this release does not know is refused with those that it knows, and its PIN is not repeated', async () => {
  for (const uri of [
    'openbao://bao.example.org/transit/panda',
    'yubikey:token=panda?pin-value=1234',
    'constructor:x',
  ]) {
    await assert.rejects(openRootKeys([uri], { create: true }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_MISCONFIGURED');
      assert.match(error.message, new RegExp(`file:, .*, not "${uri.split(':', 1)[0]}:"`));
      assert.doesNotMatch(error.message, /1234|bao\.example/);
      return true;
    });
  }
  await assert.rejects(openRootKeys(['/etc/root-keys'], { create: true }), /file:\/PATH\/TO\/FILE/);
  await assert.rejects(openRootKeys([], { create: true }), /at least one/);
});

test('a file URI that is not a whole path of this machine is refused with how to write one', async () => {
  for (const uri of [
    'file:root-keys',
    'file://host/root-keys',
    'file:/root-keys?x',
    'file:/root-keys#x',
    'file:/a%zz',
  ]) {
    await assert.rejects(openRootKeys([uri], { create: true }), /by its whole path: file:\/PATH/, uri);
  }
});

test('each place has one spelling, which names it as well', () => {
  const cases = {
    'file:///a%20b/keys': ['file:/a%20b/keys', 'FILE:/a b/x/../keys', 'file://localhost/a%20b/./keys'],
    'passphrase:/keys?passphrase-file=/p%3F': ['passphrase:///keys?passphrase-file=%2Fp%3f'],
    'passphrase:/keys': ['PASSPHRASE:/x/../keys?'],
    'transit+https://bao.example.org/a/b?token-file=/t&namespace=n&id=i': [
      'transit+https://BAO.example.org:443/a/b?id=i&namespace=n&token-file=/t',
      'transit+https:bao.example.org/a/%62?token-file=/t&id=i&namespace=n',
    ],
    'pkcs11:token=a%20b;object=k;id=%01%ab?module-path=/m.so&pin-source=/p': [
      'pkcs11:id=%01%AB;type=secret-key;object=k;token=a%20b?pin-source=file:///p&module-path=/m.so',
      'pkcs11:token=a b;object=%6B;id=%01%aB?module-path=/m.so&pin-source=file:/p',
    ],
  };
  for (const [one, others] of Object.entries(cases)) {
    for (const uri of [one, ...others]) assert.equal(canonicalPlace(uri), one);
  }
});
