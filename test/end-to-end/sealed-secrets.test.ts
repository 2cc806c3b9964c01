import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatJoinToken } from '../../src/protocol/join.ts';
import { readSiteRecord } from '../../src/sealed/site-record.ts';
import { pilot } from '../pilot/hostile-server.ts';
import { bubblewrap } from '../pilot/isolated.ts';
import { newDevice } from '../sealed/device.ts';

/** Look like secrets, and are found wherever they stand. */
const SEALED = 'w7Kq-sealed-needle-Zt93xP';
const PLAIN = 'p4Rm-plain-needle-Yb61vD';

test('a job finds a sealed secret as any other, and the server never holds its value', {
  ...bubblewrap,
}, async (t) => {
  const device = await newDevice(t);
  const { server, middle, folder, done, prun } = device;

  // The site: an identity of its admin, and a key of its nodes.
  const identity = join(folder, 'identity.json');
  const key = join(folder, 'site', 'site.key');
  for (const args of [
    ['site-identity', 'new', '--out', identity],
    ['site-key', 'new', '--queue', 'default', '--out', key, '--identity', identity],
  ]) {
    const { status, said } = await pilot(args);
    assert.equal(status, 0, said);
  }
  const word = readFileSync(`${key}.pub`, 'utf8').trim();
  const { identity: siteId } = readSiteRecord(word);
  await device.publish(word);

  // The user: trusts the site, and keeps one secret sealed and one as before.
  await done('keys', 'trust', `default=${siteId}`);
  await done('set_secret', 'TOKEN', SEALED);
  await done('set_secret', 'OLD', PLAIN, '--plain');
  const work = join(folder, 'work');
  mkdirSync(work);
  writeFileSync(join(work, 'run.sh'), 'sha256sum < panda_secrets.json > out.txt; cat panda_secrets.json; echo " $1"\n');
  const submit = async (name: string, secret: string) => {
    const task = ['--exec', `sh run.sh ${name}`, '--outDS', `user.alice.${name}`, '--site', 'default'];
    const { status, stderr } = await prun([...task, '--outputs', 'out.txt', `--useSecrets=${secret}`], { cwd: work });
    assert.equal(status, 0, stderr);
  };
  await submit('sealed', 'TOKEN');
  await submit('plain', 'OLD');

  const { status, said } = await pilot(
    [
      ...['--queue', 'default', '--token-file', '-', '--server', middle.url, '--jobs', '2', '--idle-exit', '60'],
      ...['--workdir', join(folder, 'pilots'), '--site-key', key, '--isolate', 'on', '--allow-root'],
    ],
    { input: formatJoinToken(await server.joinToken()), env: { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') } },
  );
  assert.equal(status, 0, said);

  const logs: string[] = [];
  for (const { jediTaskID, taskName, status: state } of JSON.parse(await done('show', '--json')).data) {
    assert.equal(state, 'done', taskName);
    logs.push(await done('logs', String(jediTaskID)));
  }
  const all = logs.join('\n');
  assert.match(all, /\{"TOKEN": ?"\*\*\*"\} sealed/);
  assert.match(all, /\{"OLD":"\*\*\*"\} plain/);
  assert.match(await done('list_secrets'), new RegExp(SEALED));

  // What the server got, said and kept: the plain one is in what it was sent, the sealed one nowhere.
  const passed = middle.exchanges.map(({ body, answer }) => `${body}${answer?.body ?? ''}`).join('\n');
  assert.ok(passed.includes(PLAIN), 'the search finds what is there');
  const kept = [passed, server.logs(), ...filesBelow(server.folder), all, said];
  for (const form of [SEALED, Buffer.from(SEALED).toString('base64').replace(/=+$/, ''), device.code]) {
    for (const text of kept) assert.ok(!text.includes(form), 'the server holds a form of it');
  }
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1'));
}
