import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { signSums, writeSums } from '../../scripts/release/checksums.ts';

const skip = spawnSync('ssh-keygen', ['-?']).error ? 'ssh-keygen is not installed' : false;

test('the sums are those that sha256sum checks, and the signature of a key that one trusts holds for them alone', {
  skip,
}, () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-sums-'));
  const release = join(folder.path, 'release');
  mkdirSync(release);
  writeFileSync(join(release, 'b.tgz'), 'one');
  writeFileSync(join(release, 'a.deb'), 'two');
  writeSums(release);
  const check = () => spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: release }).status;
  assert.equal(check(), 0);
  assert.deepEqual(readFileSync(join(release, 'SHA256SUMS'), 'utf8').match(/\S+$/gm), ['a.deb', 'b.tgz']);

  const key = join(folder.path, 'key');
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  signSums(release, key);
  const signers = join(folder.path, 'signers');
  writeFileSync(signers, `release ${readFileSync(`${key}.pub`, 'utf8')}`);
  // As docs/operator-reference.md says it.
  const words = ['-f', signers, '-I', 'release', '-n', 'panda-secrets-release', '-s', join(release, 'SHA256SUMS.sig')];
  const verify = () =>
    spawnSync('ssh-keygen', ['-Y', 'verify', ...words], { input: readFileSync(join(release, 'SHA256SUMS')) }).status;
  assert.equal(verify(), 0);

  writeFileSync(join(release, 'a.deb'), 'another');
  assert.notEqual(check(), 0);
  writeSums(release);
  assert.notEqual(verify(), 0);
});
