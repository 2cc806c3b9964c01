import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { placeSecrets, type SecretsPlace } from '../../src/payload/secret-files.ts';
import { temporaryFolder } from '../pilot/folders.ts';
import { asNobody, isRoot } from '../pilot/isolated.ts';

const FILES = [
  { name: 'panda_secrets.json', bytes: Buffer.from('{"A": "x"}') },
  { name: 'key', bytes: Buffer.from('y\n') },
];

async function places(t: TestContext) {
  const folder = await temporaryFolder(t);
  const work = join(folder, 'work');
  mkdirSync(work);
  return { folder, work, at: (kind: 'folder' | 'work'): SecretsPlace => ({ kind, path: join(folder, 'keep') }) };
}

for (const kind of ['folder', 'work'] as const) {
  const where = kind === 'folder' ? 'in a folder of their own' : 'in the working directory';
  test(`secrets ${where} are readable by their names and go without a trace`, async (t) => {
    const { folder, work, at } = await places(t);
    const placed = await placeSecrets(FILES, work, at(kind));
    for (const { name, bytes } of FILES) {
      assert.deepEqual(readFileSync(join(work, name)), bytes);
      assert.equal(statSync(join(work, name)).mode & 0o777, 0o600);
    }
    assert.deepEqual([placed.replaced, placed.refused], [[], []]);
    await placed.remove();
    assert.deepEqual([readdirSync(folder), readdirSync(work)], [['work'], []]);
    await placed.remove();
  });

  test(`secrets ${where} take the place of what the sandbox has there, and write through no link`, async (t) => {
    const { folder, work, at } = await places(t);
    writeFileSync(join(folder, 'precious'), 'precious');
    writeFileSync(join(work, 'key'), 'a stale key');
    symlinkSync(join(folder, 'precious'), join(work, 'panda_secrets.json'));
    symlinkSync(folder, join(work, '.panda_secrets'));
    const placed = await placeSecrets(FILES, work, at(kind));
    assert.deepEqual(placed.replaced, ['panda_secrets.json', 'key']);
    assert.equal(readFileSync(join(work, 'key'), 'utf8'), 'y\n');
    assert.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'precious');
    await placed.remove();
    assert.deepEqual(readdirSync(folder).sort(), ['precious', 'work']);
  });
}

test('links to secrets in the working directory do not leave it: it may be moved, and shown elsewhere', async (t) => {
  const { folder, work, at } = await places(t);
  await placeSecrets(FILES, work, at('work'));
  assert.equal(readlinkSync(join(work, 'key')), '.panda_secrets/key');
  symlinkSync(work, join(folder, 'elsewhere'));
  assert.equal(readFileSync(join(folder, 'elsewhere/key'), 'utf8'), 'y\n');
});

test('packing or copying the whole working directory takes no value along, and GNU tar ends well', async (t) => {
  const { folder, work, at } = await places(t);
  await placeSecrets(FILES, work, at('work'));
  const shell = (command: string) => {
    const [program = '', ...words] = [...(isRoot ? asNobody() : []), 'sh', '-c', command];
    return spawnSync(program, words, { cwd: work, env: { ...process.env, TAR_OPTIONS: '--exclude=.panda_secrets' } });
  };
  if (isRoot) spawnSync('chown', ['-hR', '65534:65534', folder]);
  for (const pack of ['tar cf ../all.tar .', 'tar cf ../all.tar *']) {
    assert.equal(shell(pack).status, 0, pack);
    assert.ok(!readFileSync(join(folder, 'all.tar')).includes('y\n'), pack);
  }
  shell('cp -a . ../copy; env -u TAR_OPTIONS tar cf ../error.tar .');
  assert.deepEqual(readdirSync(join(folder, 'copy/.panda_secrets')), []);
  assert.ok(!readFileSync(join(folder, 'error.tar')).includes('y\n'));
});

test('nothing is removed through a link that took the place of the working directory', async (t) => {
  const { folder, work, at } = await places(t);
  const other = join(folder, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'key'), 'precious');
  const placed = await placeSecrets(FILES, work, at('work'));
  rmSync(work, { recursive: true });
  symlinkSync(other, work);
  await placed.remove();
  assert.equal(readFileSync(join(other, 'key'), 'utf8'), 'precious');
});

test('a folder for secrets that is there already is not taken for its own, and stays', async (t) => {
  const { folder, work, at } = await places(t);
  mkdirSync(join(folder, 'keep'));
  writeFileSync(join(folder, 'keep/key'), "another's");
  await assert.rejects(placeSecrets(FILES, work, at('folder')), { code: 'EEXIST' });
  assert.equal(readFileSync(join(folder, 'keep/key'), 'utf8'), "another's");
});
