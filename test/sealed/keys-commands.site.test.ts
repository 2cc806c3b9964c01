import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { isSealedValue } from '../../src/protocol/sealed-value.ts';
import { openEnvelope } from '../../src/sealed/envelope.ts';
import { signed } from '../../src/sealed/signed.ts';
import type { RunOptions } from '../cli/run.ts';
import { answerSecrets, NOW, newDevice, siteOf } from './device.ts';
import { sealedFor, siteNumber, userNumber } from './samples.ts';

/** Looks like a secret, and is found wherever it stands. */
const VALUE = 'w7Kq-needle-Zt93xP';

test("what a user seals is the user's and the site's alone, from set to restore", async (t) => {
  const device = await newDevice(t);
  const { done, pbook, kept, keys, middle, server, folder } = device;
  assert.equal(statSync(join(folder, 'config', 'sealed', 'key')).mode & 0o777, 0o600);
  assert.equal((await pbook(['keys', 'init', '--yes'])).status, 1, 'a key is never overwritten');

  assert.match(await done('set_secret', 'TOKEN', VALUE), /TOKEN is sealed for you alone/);
  const site = await siteOf(1);
  await device.publish(site.word);
  assert.match(await done('keys', 'trust', `default=${site.id}`), /trusted.*\n.*reseal.*TOKEN/);
  assert.match(await done('keys', 'reseal'), /TOKEN is sealed for default/);
  assert.match(await done('keys', 'reseal'), /TOKEN needs nothing/);
  const first = await kept('TOKEN');
  assert.ok(isSealedValue(first));
  const expected = { signer: keys.signer.publicKey, name: 'TOKEN', atLeast: 1, site: site.id };
  assert.equal((await openEnvelope(first, [site.node.age.identity], expected)).value.reveal(), VALUE);

  assert.match(await done('list_secrets'), new RegExp(`TOKEN : ${VALUE} \\(sealed for default until \\d{4}-`));
  await device.publish((await siteOf(1, { serial: 2, end: NOW + 10 * 24 * 3600 })).word);
  await done('keys', 'reseal');
  assert.match(await done('list_secrets'), /WARNING : the record of the site of default ends on/);
  assert.match(await done('masking', 'TOKEN'), /the whole value/);
  await done('set_secret', 'TOKEN', `${VALUE}-2`, '--queues', 'default');
  assert.match(await done('restore_secret', 'TOKEN', '1'), /sealed anew/);
  const [restored] = JSON.parse((await pbook(['list_secrets', '--json'])).stdout).data;
  assert.deepEqual([restored.value, restored.sealed, restored.problem], [VALUE, true, undefined]);

  await done('set_secret', 'PLAIN', 'plain-needle-55', '--plain');
  await server.stop();
  const seen = middle.exchanges.flatMap(({ path, body, answer }) => [path, body.toString(), answer.body.toString()]);
  const files = globSync('**/*', { cwd: server.folder, withFileTypes: true }).filter((entry) => entry.isFile());
  const stored = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  assert.ok(
    seen.some((text) => text.includes('plain-needle-55')),
    'what is plain is found',
  );
  for (const text of [...seen, ...stored, server.logs()]) {
    for (const form of [VALUE, Buffer.from(VALUE).toString('base64').slice(2, -4)]) assert.ok(!text.includes(form));
  }
});

test('29, 30, 31 a server that shows something else than what was sealed last shows no value', async (t) => {
  const { done, pbook, kept, middle, restoreAlone } = await newDevice(t);
  await done('set_secret', 'TOKEN', 'the first one');
  const old = await kept('TOKEN');
  await done('set_secret', 'TOKEN', VALUE);
  await done('set_secret', 'OTHER', 'of another name');
  const good = { TOKEN: await kept('TOKEN'), OTHER: await kept('OTHER') };
  const foreign = await sealedFor(await userNumber(9), [], { version: NOW * 2000 });
  const at = good.TOKEN.length - 200;
  const forged = good.TOKEN.slice(0, at) + (good.TOKEN[at] === 'A' ? 'B' : 'A') + good.TOKEN.slice(at + 1);
  const cases: [string, Record<string, string>, RegExp][] = [
    ['an older version', { ...good, TOKEN: old }, /secret-old/],
    ['two swapped', { TOKEN: good.OTHER, OTHER: good.TOKEN }, /secret-swapped/],
    ["another owner's", { ...good, TOKEN: foreign }, /secret-unreadable/],
    ['changed', { ...good, TOKEN: forged }, /secret-(unreadable|format)/],
    ['a plain one in its place', { ...good, TOKEN: 'injected' }, /secret-not-sealed/],
    ['as a file', { OTHER: good.OTHER, '___file___:TOKEN': good.TOKEN }, /secret-swapped/],
  ];
  for (const [what, secrets, code] of cases) {
    answerSecrets(middle, secrets);
    const { status, stdout } = await pbook(['list_secrets']);
    assert.equal(status, 1, what);
    assert.match(stdout, code, what);
    for (const value of ['the first one', 'injected', ...(what === 'two swapped' ? [VALUE] : [])]) {
      assert.ok(!stdout.includes(value), what);
    }
  }
  await restoreAlone();
  answerSecrets(middle, undefined);
  assert.match((await pbook(['list_secrets'])).stdout, /secret-old/, 'what the server restores by itself');

  const before = middle.exchanges.length;
  for (const secrets of [{ TOKEN: old }, { TOKEN: foreign }, { TOKEN: 'injected' }, { TOKEN: good.OTHER }, {}]) {
    answerSecrets(middle, { OTHER: good.OTHER, ...secrets });
    const { status, stderr } = await pbook(['keys', 'reseal']);
    assert.equal(status, 1);
    assert.match(stderr, /TOKEN stays as it was/);
  }
  const sets = middle.exchanges.slice(before).filter(({ path }) => path.endsWith('set_user_secrets'));
  assert.deepEqual(sets, [], 'nothing is sealed anew that is not what was sealed');
});

test('a device that trusts a site and lost its key sends nothing in clear unless that is said', async (t) => {
  const { done, pbook, publish, folder, middle } = await newDevice(t);
  const site = await siteOf(1);
  await publish(site.word);
  await done('keys', 'trust', `default=${site.id}`);
  await done('keys', 'untrust', 'default');
  rmSync(join(folder, 'config', 'sealed', 'key'));
  const { status, stderr } = await pbook(['set_secret', 'TOKEN', VALUE]);
  assert.equal(status, 1);
  assert.match(stderr, /its key is gone/);
  assert.ok(middle.exchanges.every(({ body }) => !body.includes(VALUE)));
});

test('of values that are set at once, the one that the server keeps last is the newest', async (t) => {
  const { pbook, done } = await newDevice(t);
  const values = ['one', 'two', 'three', 'four'];
  const outcomes = await Promise.all(values.map((value) => pbook(['set_secret', 'TOKEN', value])));
  for (const { status, stderr } of outcomes) assert.equal(status, 0, stderr);
  const [{ value, problem }] = JSON.parse(await done('list_secrets', '--json')).data;
  assert.equal(problem, undefined);
  assert.ok(values.includes(value));
});

test('25 a name that was sealed takes no plain value, whatever the server says', async (t) => {
  const { done, pbook, kept, middle, folder } = await newDevice(t);
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/creds/list_user_secrets')) return;
    answer.body = Buffer.from(answer.body.toString().replaceAll('"sealed":true', '"sealed":false'));
  };
  await done('set_secret', 'TOKEN', VALUE);
  await done('set_secret', 'TOKEN', `${VALUE}-2`);
  assert.ok(isSealedValue(await kept('TOKEN')), 'with its mark dropped it is sealed as before');
  await done('delete_secret', 'TOKEN');
  const refused = await pbook(['set_secret', 'TOKEN', 'plain-one', '--plain']);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /no plain value can take its place/);
  rmSync(join(folder, 'config', 'sealed', 'key'));
  assert.equal((await pbook(['set_secret', 'TOKEN', 'plain-one'])).status, 1, 'nor without the key');
  assert.ok(middle.exchanges.every(({ body }) => !body.includes('plain-one')));
  const keyless = await pbook(['set_secret', 'OTHER', 'plain-one']);
  assert.equal(keyless.status, 1, 'nor does another name, unless that is said');
  assert.match(keyless.stderr, /its key is gone: "pbook keys import".*--plain/);
  assert.ok(middle.exchanges.every(({ body }) => !body.includes('plain-one')));
  assert.equal((await pbook(['set_secret', 'OTHER', 'plain-two', '--plain'])).status, 0);
  assert.equal((await pbook(['set_secret', 'OTHER', 'x', '--sealed'])).status, 1);
  answerSecrets(middle, { OTHER: 'plain-two', TOKEN: 'injected' });
  const listed = await pbook(['list_secrets']);
  assert.equal(listed.status, 1);
  assert.match(listed.stdout, /OTHER : plain-two$/m);
  assert.match(listed.stdout, /TOKEN : .*\(secret-not-sealed\)/s);
  assert.ok(!listed.stdout.includes('injected'));
});

test("24 a record that is not the trusted site's newest is a hard stop", async (t) => {
  const { done, pbook, publish, middle } = await newDevice(t);
  const site = await siteOf(1, { serial: 5 });
  const recipient = await identityToRecipient(await generateX25519Identity());
  const classical = JSON.stringify({ ...site.record, serial: 6, recipient });
  const x25519 = signed((await siteNumber(1)).identity, 'site', Buffer.from(classical));
  const cases: [string, string, RegExp][] = [
    ['another identity', (await siteOf(2, { serial: 9 })).word, /another site than the one that is trusted/],
    ['an older serial', (await siteOf(1, { serial: 4 })).word, /older/],
    ['the same serial forked', (await siteOf(1, { serial: 5, from: NOW - 10 })).word, /two different records/],
    ['ended', (await siteOf(1, { serial: 6, from: NOW - 200_000, end: NOW - 10 })).word, /has ended/],
    ['of another queue', (await siteOf(1, { serial: 6, queue: 'elsewhere' })).word, /another queue's/],
    ['a recipient that is not post-quantum', x25519, /malformed/],
    ['no record', 'AAAA.BBBB', /malformed/],
  ];
  await publish(site.word);
  const typed = `${site.id.slice(0, -1)}${site.id.endsWith('a') ? 'b' : 'a'}`;
  assert.match((await pbook(['keys', 'trust', `default=${typed}`])).stderr, /not a site ID/);
  await done('keys', 'trust', `default=${site.id}`);
  const before = middle.exchanges.length;
  for (const [what, word, message] of cases) {
    await publish(word);
    const { status, stderr } = await pbook(['set_secret', 'TOKEN', VALUE, '--queues', 'default']);
    assert.equal(status, 1, what);
    assert.match(stderr, message, what);
  }
  const other = await siteOf(2);
  await publish(other.word);
  assert.match(
    (await pbook(['set_secret', 'TOKEN', VALUE])).stderr,
    /another site than the one/,
    'for all that are trusted',
  );
  assert.match((await pbook(['keys', 'trust', `default=${other.id}`])).stderr, /another site than the one/);
  assert.ok(middle.exchanges.slice(before).every(({ path }) => !path.endsWith('set_user_secrets')));
  await publish((await siteOf(1, { serial: 6 })).word);
  await done('set_secret', 'TOKEN', VALUE);
  assert.match(await done('keys', 'untrust', 'default'), /change the values of TOKEN/);
  await publish(other.word);
  await done('keys', 'trust', `default=${other.id}`);
});

test('32 a site that the server puts in is never sealed for', async (t) => {
  const { done, publish, kept, keys, middle, pbook } = await newDevice(t);
  const site = await siteOf(1);
  await publish(site.word);
  await done('keys', 'trust', `default=${site.id}`);
  await done('set_secret', 'TOKEN', VALUE, '--queues', 'default');
  await publish((await siteOf(1, { serial: 2 })).word);
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/creds/list_user_secrets')) return;
    const envelope = JSON.parse(answer.body.toString());
    for (const secret of envelope.data) secret.queues = ['default', 'evil'];
    answer.body = Buffer.from(JSON.stringify(envelope));
  };
  assert.match(await done('keys', 'reseal'), /TOKEN is sealed for default$/m);
  const expected = { signer: keys.signer.publicKey, name: 'TOKEN', atLeast: 1 };
  const { sites } = await openEnvelope(await kept('TOKEN'), [keys.age.identity], expected);
  assert.deepEqual(sites, [{ id: site.id, serial: 2 }]);
  const { stderr } = await pbook(['set_secret', 'TOKEN', VALUE, '--queues', 'default,evil']);
  assert.match(stderr, /the site of evil is not trusted on this device/);
});

test('41 another device brings the key by its code, and says what it cannot prove', async (t) => {
  const { done, pbook, code, middle, kept, folder } = await newDevice(t);
  await done('set_secret', 'TOKEN', 'an older value');
  const old = await kept('TOKEN');
  await done('set_secret', 'TOKEN', VALUE);
  const second = { PANDA_CONFIG_ROOT: join(folder, 'second') };
  const locked = await pbook(['list_secrets'], { env: second });
  assert.match(locked.stdout, /this device has no key/);
  assert.ok(!locked.stdout.includes(VALUE));
  const imported = await pbook(['keys', 'import'], { env: second, input: `${code}\n` });
  assert.equal(imported.status, 0, imported.stderr);
  answerSecrets(middle, { TOKEN: old });
  assert.match((await pbook(['list_secrets'], { env: second })).stdout, /an older value .*unproven/);
  answerSecrets(middle, undefined);
  assert.match((await pbook(['list_secrets'], { env: second })).stdout, new RegExp(VALUE));
  assert.match((await pbook(['list_secrets'], { env: second })).stdout, /unproven/, 'until it is set here');
  answerSecrets(middle, { TOKEN: old });
  assert.match((await pbook(['list_secrets'], { env: second })).stdout, /secret-old/);
  answerSecrets(middle, {});
  assert.match((await pbook(['list_secrets'])).stderr, /TOKEN was sealed on this device, and the server does not show/);
  answerSecrets(middle, undefined);
  await pbook(['set_secret', 'TOKEN', VALUE], { env: second });
  assert.doesNotMatch((await pbook(['list_secrets'], { env: second })).stdout, /unproven/);
  await done('delete_secret', 'TOKEN');
  assert.doesNotMatch(await done('list_secrets'), /does not show/);
  assert.equal((await pbook(['keys', 'export'], { env: second })).stdout.trim(), code);
});

test("Python's functions seal and open as the commands do", async (t) => {
  const { done, pbook, kept } = await newDevice(t);
  const code = `set_secret('SEALED', '${VALUE}'); set_secret('OPEN', 'plain-one', sealed=False); print(get_secret('SEALED'))`;
  assert.match(await done('-c', code), new RegExp(`^${VALUE}$`, 'm'));
  assert.ok(isSealedValue(await kept('SEALED')));
  assert.equal(await kept('OPEN'), 'plain-one');
  const { stdout, stderr } = await pbook(['-c', "set_secret('SEALED', 'plain-two', sealed=False)"]);
  assert.match(stdout + stderr, /no plain value can take its place/);
  assert.ok(isSealedValue(await kept('SEALED')));
});

test('37 ten thousand stanzas and values that are no text end a list with a word and not with a fault', async (t) => {
  const { done, pbook, middle, kept } = await newDevice(t);
  await done('set_secret', 'TOKEN', VALUE);
  const good = await kept('TOKEN');
  const head = Buffer.from(
    `age-encryption.org/v1\n-> panda-secrets-sealed-v1\n\n${'-> mlkem768x25519 A\n\n'.repeat(10_000)}---`,
  );
  const many = `-----BEGIN AGE ENCRYPTED FILE-----\n${head.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END AGE ENCRYPTED FILE-----\n`;
  for (const [text, code] of [
    [many, /sealed-too-large/],
    [good.slice(0, 500), /sealed-too-large|secret-unreadable/],
  ] as const) {
    answerSecrets(middle, { TOKEN: text });
    const { status, stdout, stderr } = await pbook(['list_secrets']);
    assert.equal(status, 1, stderr);
    assert.match(stdout, code);
  }
});

test('the commands of a key have results for a program to read', async (t) => {
  const { pbook, publish, done, folder, code } = await newDevice(t);
  const json = async (args: string[], options?: RunOptions) =>
    JSON.parse((await pbook(['keys', ...args, '--json'], options)).stdout);
  const site = await siteOf(1);
  await publish(site.word);
  await done('set_secret', 'TOKEN', VALUE);
  const { data } = await json(['trust', `default=${site.id}`]);
  assert.deepEqual(data, { queue: 'default', id: site.id, until: data.until, sealed_before: ['TOKEN'] });
  await done('keys', 'reseal');
  assert.deepEqual((await json(['untrust', 'default'])).data, {
    queue: 'default',
    id: site.id,
    still_trusted: false,
    change_values_of: ['TOKEN'],
  });
  assert.deepEqual((await json(['export'])).data, { recovery_code: code });
  const second = join(folder, 'second');
  const env = { PANDA_CONFIG_ROOT: second };
  assert.deepEqual((await json(['import'], { env, input: code })).data, { key: join(second, 'sealed', 'key') });
  assert.equal((await json(['import'], { env, input: code })).code, 'ERR_ALREADY_EXISTS');
  const robot = join(folder, 'robot');
  const made = (await json(['init', '--yes'], { env: { PANDA_CONFIG_ROOT: robot } })).data;
  assert.equal(made.key, join(robot, 'sealed', 'key'));
  assert.match(made.recovery_code, /^([A-Z2-7]{4}-){13}[A-Z2-7]{4}$/);
});
