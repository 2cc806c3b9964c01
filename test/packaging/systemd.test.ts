import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');
const UNITS = ['panda-secrets.service', 'panda-secrets.socket'];
const unit = (name: string) => readFileSync(join(root, 'packaging/systemd', name), 'utf8');
const isThere = spawnSync('systemd-analyze', ['--version']).status === 0;
const skip = isThere ? false : 'systemd-analyze is not installed (Debian: systemd)';

function analyze(...words: string[]) {
  return spawnSync('systemd-analyze', words, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8' } });
}

test('systemd takes the units as they are', { skip }, () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-units-'));
  // The program is where the package puts it; the rest is systemd's to judge.
  for (const name of UNITS) {
    const text = unit(name).replace('exec /usr/bin/panda-secrets', 'exec /bin/true');
    writeFileSync(join(folder.path, name), text);
  }
  const { status, stdout, stderr } = analyze('verify', '--man=no', ...UNITS.map((name) => join(folder.path, name)));
  const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('panda-secrets'));
  assert.deepEqual(said, []);
  assert.equal(status, 0, stderr);
});

test('the exposure of the service is what the documents say', { skip }, () => {
  const file = join(root, 'packaging/systemd/panda-secrets.service');
  const { stdout } = analyze('security', '--offline=true', '--no-pager', file);
  const [, exposure = ''] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
  const [, documented = ''] =
    /exposure level ([\d.]+) of 10/.exec(readFileSync(join(root, 'docs/operator-reference.md'), 'utf8')) ?? [];
  assert.ok(
    documented !== '' && Number(exposure) <= Number(documented),
    `${exposure}, documented ${documented}\n${stdout}`,
  );
});

test('the one socket goes to the standard input of the service, and of no other process of its unit', () => {
  assert.equal(unit('panda-secrets.socket').match(/^ListenStream=/gm)?.length, 1);
  assert.match(unit('panda-secrets.service'), /^ExecStart=.* <&3'$/m);
  assert.doesNotMatch(unit('panda-secrets.service'), /^StandardInput=/m, 'ExecReload= would be refused');
});

test('what the service runs is named alike in the journal and needs no package that may be missing', () => {
  const text = unit('panda-secrets.service');
  assert.match(text, /^SyslogIdentifier=panda-secrets$/m, 'lines would be those of "sh"');
  const programs = [...text.matchAll(/^Exec\w+=(\S+)/gm)].map(([, program]) => program);
  assert.deepEqual([...new Set(programs)], ['/bin/sh']);
});
