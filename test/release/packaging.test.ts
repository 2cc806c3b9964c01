import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'dotenv';
import { readSettings } from '../../src/site/settings.ts';

const packaging = join(import.meta.dirname, '../../packaging');
const textOf = (name: string) => readFileSync(join(packaging, name), 'utf8');

test('the settings of the Debian package are settings that the server has, also those that are commented out', () => {
  const text = textOf('panda-secrets.env');
  assert.equal(readSettings({}, parse(text)).data, '/var/lib/panda-secrets');
  const all = parse(text.replace(/^#(?=[A-Z_]+=)/gm, ''));
  delete all['PANDA_SECRETS_CONFIG']; // A file that the operator writes.
  const settings = readSettings({}, all);
  assert.equal(settings.publicUrl, 'https://panda.example.org');
  assert.equal(settings.siteName, 'PanDA secrets');
  const documented = readFileSync(join(packaging, '../docs/operator-reference.md'), 'utf8');
  for (const name of Object.keys(all)) assert.ok(documented.includes(`\`${name}\``), name);
});

test('the maintainer scripts are plain shell, and none of them deletes data, keys or the user', () => {
  for (const name of ['postinst', 'prerm', 'postrm']) {
    const path = join(packaging, 'debian', name);
    assert.equal(spawnSync('sh', ['-n', path]).status, 0, name);
    const commands = textOf(`debian/${name}`).replace(/^ *(echo|#).*$/gm, '');
    assert.doesNotMatch(commands, /deluser|userdel|rm -r\S* \/(etc|var\/lib|var\/log)/, name);
  }
});

test('the container has its programs from the Debian package, and does not run as root', () => {
  const lines = textOf('Containerfile').replaceAll('\\\n', ' ').split('\n');
  const of = (word: string) => lines.filter((line) => line.startsWith(`${word} `));
  assert.deepEqual(of('USER'), ['USER 10001:10001']);
  assert.ok(lines.lastIndexOf('USER 10001:10001') > lines.findLastIndex((line) => line.startsWith('RUN ')));
  assert.deepEqual([...of('ADD'), ...of('COPY')], []);
  assert.equal(of('RUN').filter((line) => /curl|wget|npm |chmod/.test(line)).length, 0);
  assert.match(of('RUN').join('\n'), /apt-get install --yes --no-install-recommends "\/release\/\$\{DEB\}"/);
  assert.deepEqual(of('VOLUME'), ['VOLUME /var/lib/panda-secrets']);
  assert.deepEqual(of('CMD'), ['CMD ["serve"]']);
});
