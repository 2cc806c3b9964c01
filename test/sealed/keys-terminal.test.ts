import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { privacyOf } from '../../src/client/private-files.ts';
import { wireName } from '../../src/protocol/names.ts';
import { isSealedValue } from '../../src/protocol/sealed-value.ts';
import { readBundle, writeBundle } from '../../src/sealed/key-bundle.ts';
import { keyFolder } from '../../src/sealed/own-keys.ts';
import { userKeyFile } from '../../src/sealed/user-key-file.ts';
import { newRoot, userKeysOf } from '../../src/sealed/user-root.ts';
import { run } from '../cli/run.ts';
import { startSecretsStub } from '../cli/secrets-stub.ts';
import { noTerminal, openTerminal } from '../cli/terminal.ts';
import { NOW, siteNumber } from './samples.ts';

const NOWHERE = 'http://127.0.0.1:9';
const CODE = /([A-Z2-7]{4}-){13}[A-Z2-7]{4}/;

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a key is made when a group of its code was typed back', { skip: noTerminal }, async (t) => {
  const env = { PANDA_CONFIG_ROOT: newFolder(t) };
  await using terminal = openTerminal(['keys', 'init'], NOWHERE, { env });
  await terminal.sees(/first device.*\? /s);
  terminal.type('y\r');
  const [code = ''] = CODE.exec(await terminal.sees(new RegExp(`${CODE.source}\\n`))) ?? [];
  const [, place] = /Type group (\d+) of/.exec(await terminal.sees(/Type group \d+ of the code[^\n]*:/)) ?? [];
  terminal.type('NONE\r');
  await terminal.sees(/That is another one.*Type group/s);
  assert.ok(!existsSync(join(env.PANDA_CONFIG_ROOT, 'sealed', 'key')));
  terminal.type(`${code.split('-')[Number(place) - 1]?.toLowerCase()}\r`);
  await terminal.sees(/your key is in/);
  assert.equal(await terminal.status(), 0);
  const exported = await run('pbook', ['keys', 'export'], NOWHERE, { env });
  assert.equal(exported.stdout.trim(), code);
});

test('whoever has a key already is told to bring it, and none is made', { skip: noTerminal }, async (t) => {
  const env = { PANDA_CONFIG_ROOT: newFolder(t) };
  await using terminal = openTerminal(['keys', 'init'], NOWHERE, { env });
  await terminal.sees(/first device.*\? /s);
  terminal.type('n\r');
  await terminal.sees(/pbook keys import/);
  assert.equal(await terminal.status(), 1);
  assert.ok(!existsSync(join(env.PANDA_CONFIG_ROOT, 'sealed', 'key')));
  const asked = await run('pbook', ['keys', 'init'], NOWHERE, { env });
  assert.equal(asked.status, 2);
  assert.match(asked.stderr, /asks at a terminal/);
});

test('a file of "keys export" brings all that the other device knew, under its passphrase alone', async (t) => {
  const folder = newFolder(t);
  const [first, second] = [keyFolder(join(folder, 'one')), keyFolder(join(folder, 'two'))];
  const root = newRoot();
  const { signer } = await userKeysOf(root);
  const site = await siteNumber(1);
  await first.key.create(root);
  await first.sites.trust('GRID_A', site.read.identity, site.record, NOW);
  await first.marks(signer.publicKey).take([{ name: wireName('A'), version: 7 }]);
  const file = join(folder, 'bundle');
  await writeBundle(file, first, root, 'correct horse', 10);
  assert.match(readFileSync(file, 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  await assert.rejects(
    readBundle(file, second, async () => 'battery staple'),
    /passphrase is wrong/,
  );
  await readBundle(file, second, async () => 'correct horse');
  assert.ok((await second.key.read(() => assert.fail()))?.equals(root));
  assert.deepEqual(await second.sites.list(), await first.sites.list());
  assert.deepEqual(await second.marks(signer.publicKey).list(), await first.marks(signer.publicKey).list());
  await assert.rejects(writeBundle(file, first, root, 'x', 10), /EEXIST/);
});

test('a key that lies in a directory is never packed', async (t) => {
  const folder = newFolder(t);
  const keys = keyFolder(join(folder, 'a', 'b'));
  await keys.key.create(newRoot());
  writeFileSync(join(folder, 'copy'), readFileSync(keys.key.path));
  const privacy = await privacyOf(folder, { own: [] });
  assert.deepEqual(await privacy.ofFile('copy', { isLink: false }), {
    path: 'copy',
    what: 'a key that seals secrets',
    never: true,
  });
});

test("Python's functions ask for the passphrase of a key once, and without a terminal say where to go", {
  skip: noTerminal,
}, async (t) => {
  await using stub = await startSecretsStub();
  const env = { PANDA_CONFIG_ROOT: newFolder(t) };
  await userKeyFile(join(env.PANDA_CONFIG_ROOT, 'sealed', 'key'), 10).create(newRoot(), 'correct horse');
  await using terminal = openTerminal([], stub.url, { env });
  await terminal.sees(/>>> $/);
  const set = async (typed: string, passphrase?: string) => {
    terminal.type(`${typed}\r`);
    if (passphrase !== undefined) {
      await terminal.sees(/Passphrase of your key \(not shown\): $/);
      terminal.type(`${passphrase}\r`);
    }
    return await terminal.sees(/\n(INFO|ERROR) : [\s\S]*>>> $/);
  };
  assert.match(await set("set_secret('A', 'a value')", 'wrong'), /ERROR : the passphrase is wrong/);
  assert.match(await set("set_secret('A', 'a value')", 'correct horse'), /INFO : OK/);
  assert.match(await set("set_secret('B', 'another')"), /INFO : OK/);
  assert.doesNotMatch(terminal.text(), /correct horse/);
  assert.ok(isSealedValue(stub.secrets.get('B') ?? ''));

  const { status, stderr } = await run('pbook', ['-c', "set_secret('C', 'x')"], stub.url, { env });
  assert.equal(status, 1);
  assert.match(stderr, /ERROR : your key is under a passphrase, .*run this there/);
  assert.equal(stub.secrets.has('C'), false);
});
