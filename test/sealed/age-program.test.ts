import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { armor } from 'age-encryption';
import { openEnvelope } from '../../src/sealed/envelope.ts';
import { importRoot, userKeysOf } from '../../src/sealed/user-root.ts';
import { fromHex, readVectors } from '../sealing/vectors.ts';
import { sealedFor, siteNumber } from './samples.ts';

/** Its author's own program, from 1.3: the first with post-quantum recipients. */
const version = spawnSync('age', ['--version'], { encoding: 'utf8' }).stdout ?? '';
const isThere = /^v?1\.([3-9]|\d\d)/.test(version);
const options = { skip: !isThere && 'age 1.3 or newer is not installed (go install filippo.io/age/cmd/age@v1.3.1)' };

const derivation = readVectors<{ user: { root: string; age: { secretKey: string } } }>('sealed/derivation');
const user = await userKeysOf(importRoot(fromHex(derivation.user.root)));
const expected = { signer: user.signer.publicKey, name: 'TOKEN', atLeast: 1 };

function age(args: string[], input: string | Buffer): Buffer {
  const { stdout, stderr, status } = spawnSync('age', args, { input });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

test('age opens what was sealed', options, async (t) => {
  const sealed = await sealedFor(user, [(await siteNumber(1)).read]);
  const plaintext = age(['--decrypt', '--identity', keyFile(t)], sealed).toString();
  assert.match(plaintext, /^panda-secrets-sealed-v1\n[\w-]+\n[\w-]+\na-value-to-hide\0+$/);
});

test('what age seals opens', options, async (t) => {
  const site = await siteNumber(1);
  const inside = age(['--decrypt', '--identity', keyFile(t)], await sealedFor(user, [site.read]));
  for (const form of [[], ['--armor']]) {
    const made = age(['--recipient', user.age.recipient, '--recipient', site.read.recipient, ...form], inside);
    const text = form.length > 0 ? made.toString() : armor.encode(made);
    assert.equal((await openEnvelope(text, [user.age.identity], expected)).value.reveal(), 'a-value-to-hide');
    const forSite = { ...expected, site: site.read.identity };
    assert.equal((await openEnvelope(text, [site.node.age.identity], forSite)).value.reveal(), 'a-value-to-hide');
  }
});

function keyFile(t: { after(clean: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'age-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'key');
  writeFileSync(path, derivation.user.age.secretKey, { mode: 0o600 });
  return path;
}
