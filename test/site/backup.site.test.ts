import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { Header } from 'tar';
import { takeLock } from '../../src/payload/process-lock.ts';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { passphraseFiles } from '../../src/sealing/passphrase-file.ts';
import { makeBackup } from '../../src/site/backup/make.ts';
import { restoreBackup, verifyBackup } from '../../src/site/backup/restore.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { createRootKeyAdministration } from '../../src/site/keys.ts';
import { databaseAt, execute } from '../database-template.ts';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import { filesBelow } from '../end-to-end/site.ts';
import { until } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { startServer, type TestServer } from '../server/start.ts';

/** A folder with a key to backups. */
async function keyFolder(t: TestContext, kind: 'hybrid' | 'plain' = 'hybrid') {
  const folder = mkdtempSync(join(tmpdir(), 'panda-backup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const identity = await (kind === 'hybrid' ? generateHybridIdentity() : generateX25519Identity());
  const identityFile = join(folder, 'key.txt');
  writeFileSync(identityFile, `# created by a test\n${identity}\n`, { mode: 0o600 });
  return { folder, identityFile, recipient: await identityToRecipient(identity) };
}

/** A server with a user's secrets and a sandbox. */
async function busyServer(t: TestContext) {
  const server = await startServer(t);
  const token = await server.userToken('ada');
  const secrets = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`KEY_${n}`, `value ${n} ${randomUUID()}`]));
  for (const [key, value] of Object.entries(secrets)) await server.ask(token, setUserSecrets, { key, value });
  const form = new FormData();
  form.set('file', new Blob([gzipSync(randomBytes(5000))]), `jobO.${randomUUID()}.tar.gz`);
  const url = new URL('/api/v1/file_server/upload_cache_file', server.url);
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: form });
  assert.equal(((await answer.json()) as { success: boolean }).success, true);
  return { server, token, secrets };
}

const settingsOf = ({ folder }: TestServer) => ({ data: folder });

async function backup(server: TestServer, to: string, recipient: string, withKeys = false) {
  const request = { to, recipients: [recipient], withKeys };
  return await makeBackup(settingsOf(server), server.installation, Date.now, request);
}

/** Every secret of the user, as a server on that folder answers it. */
async function secretsIn(t: TestContext, data: string, token: string): Promise<Record<string, string>> {
  const server = await startServer(t, { settings: { data } });
  const { data: text } = await server.ask(token, getUserSecrets, {});
  return JSON.parse(String(text));
}

test('a backup of a server at work is restored into an empty folder, and every secret opens', async (t) => {
  const { server, token, secrets } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t);
  const file = join(folder, 'backup.age');
  // Others write all the time.
  let writing = true;
  const writes = (async () => {
    for (let n = 0; writing; n++) await server.ask(token, setUserSecrets, { key: `LATER_${n % 5}`, value: `${n}` });
  })();
  const made = await backup(server, file, recipient);
  writing = false;
  await writes;
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).sort(), ['backup.age', 'key.txt']);
  assert.deepEqual(
    readdirSync(server.folder).filter((name) => name.startsWith('backup-')),
    [],
  );
  const { manifest, blobs, end } = await verifyBackup(file, identityFile);
  assert.deepEqual([manifest.installation, manifest.withKeys, blobs, end.missing], [made.installation, false, 1, 0]);

  const data = join(folder, 'restored');
  await restoreBackup({ data }, file, identityFile);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  for (const { path } of filesBelow(data)) assert.equal(statSync(path).mode & 0o077, 0, path);
  await assert.rejects(openInstallation({ data }, { create: true, clock: Date.now }), {
    code: /MISCONFIGURED|MISSING/,
  });
  writeFileSync(join(data, 'root-keys'), readFileSync(join(server.folder, 'root-keys')), { mode: 0o600 });
  await server.stop();
  const found = await secretsIn(t, data, token);
  for (const [key, value] of Object.entries(secrets)) assert.equal(found[key], value, key);
});

test('with the root keys it is all that a new machine needs, and only then are they in it', async (t) => {
  const { server, token, secrets } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t, 'plain');
  const [file, without] = [join(folder, 'backup.age'), join(folder, 'without.age')];
  await backup(server, file, recipient, true);
  await backup(server, without, recipient);
  const data = join(folder, 'restored');
  await restoreBackup({ data }, file, identityFile);
  assert.deepEqual(readFileSync(join(data, 'root-keys')), readFileSync(join(server.folder, 'root-keys')));
  assert.deepEqual(await secretsIn(t, data, token), secrets);
  await restoreBackup({ data: join(folder, 'keyless') }, without, identityFile);
  assert.ok(!existsSync(join(folder, 'keyless', 'root-keys')));
});

const version = spawnSync('age', ['--version'], { encoding: 'utf8' }).stdout ?? '';
const options = { skip: !/^v?1\.([3-9]|\d\d)/.test(version) && 'age 1.3 or newer is not installed' };

test('the ordinary age and tar open it', options, async (t) => {
  const { server } = await busyServer(t);
  for (const kind of ['hybrid', 'plain'] as const) {
    const { folder, identityFile, recipient } = await keyFolder(t, kind);
    const file = join(folder, 'backup.age');
    await backup(server, file, recipient);
    const tar = spawnSync('age', ['--decrypt', '--identity', identityFile, file], { maxBuffer: 2 ** 30 });
    assert.equal(tar.status, 0, tar.stderr.toString());
    const listed = spawnSync('tar', ['-tf', '-'], { input: tar.stdout, encoding: 'utf8' });
    assert.equal(listed.status, 0, listed.stderr);
    const names = listed.stdout.trim().split('\n');
    assert.deepEqual(
      [...names.slice(0, 3), names.at(-1)],
      ['backup.json', 'installation.json', 'panda.db', 'end.json'],
    );
    assert.match(names[3] ?? '', /^blobs\/[0-9a-f]{2}\/[0-9a-f]{64}$/);
  }
});

test('a backup that was changed or cut anywhere is refused, and what was restored of it never starts', async (t) => {
  const { server } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t);
  const file = join(folder, 'backup.age');
  await backup(server, file, recipient, true);
  const whole = readFileSync(file);
  const refused = { code: 'ERR_MISCONFIGURED', message: /^the backup does not open|^this is not a whole backup/ };
  for (let n = 0; n < 12; n++) {
    const place = Math.floor((whole.length * (n + 0.5)) / 12);
    const changed = Buffer.from(whole);
    changed[place] = (changed[place] ?? 0) ^ 1;
    const bad = join(folder, `bad${n}`);
    writeFileSync(bad, n % 2 === 0 ? changed : whole.subarray(0, place));
    await assert.rejects(verifyBackup(bad, identityFile), refused, `byte ${place}`);
    const data = join(folder, `data${n}`);
    await assert.rejects(restoreBackup({ data }, bad, identityFile), refused);
    if (existsSync(data) && readdirSync(data).length > 0) {
      await assert.rejects(openInstallation({ data }, { create: true, clock: Date.now }), {
        code: 'ERR_MISCONFIGURED',
        message: /a restore into .* was not finished/,
      });
    }
  }
  const other = await keyFolder(t);
  await assert.rejects(verifyBackup(file, other.identityFile), refused);
});

/** An archive that somebody else made: anybody can, who knows the recipient. */
async function forged(path: string, recipient: string, entries: readonly Parameters<typeof entryOf>[]): Promise<void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const tar = Buffer.concat([...entries.map((entry) => entryOf(...entry)), Buffer.alloc(1024)]);
  writeFileSync(path, await encrypter.encrypt(tar));
}

function entryOf(path: string, content: string, more: object = {}): Buffer {
  const bytes = Buffer.from(content);
  const header = new Header({ path, mode: 0o600, size: bytes.length, mtime: new Date(), type: 'File', ...more });
  header.encode();
  return Buffer.concat([header.block ?? Buffer.alloc(0), bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

test('an archive of somebody else can put nothing anywhere but where a backup does', async (t) => {
  const { folder, identityFile, recipient } = await keyFolder(t);
  const manifest = JSON.stringify({ format: 1, installation: 'x', database: 'sqlite', withKeys: false });
  const sha256 = 'ab'.repeat(32);
  const cases: [string, string, object?][] = [
    ['../escaped', 'x'],
    [`blobs/../../escaped`, 'x'],
    [join(folder, 'escaped'), 'x'],
    ['blobs/ab/../../../escaped', 'x'],
    ['panda.db/../../escaped', 'x'],
    ['./panda.db', 'x'],
    ['restore-unfinished', 'x'],
    ['last-address', 'x'],
    ['panda.db', '', { type: 'SymbolicLink', linkpath: join(folder, 'escaped') }],
    ['panda.db', '', { type: 'Link', linkpath: '../key.txt' }],
    ['blobs', '', { type: 'Directory' }],
    ['root-keys', '', { type: 'FIFO' }],
    [`blobs/ab/${sha256}`, 'not the content of that name'],
    [`blobs/cd/${sha256}`, 'x'],
  ];
  for (const [n, entry] of cases.entries()) {
    const [file, data] = [join(folder, `forged${n}`), join(folder, `data${n}`)];
    await forged(file, recipient, [['backup.json', manifest], entry]);
    await assert.rejects(restoreBackup({ data }, file, identityFile), { code: 'ERR_MISCONFIGURED' }, entry[0]);
    assert.ok(!existsSync(join(folder, 'escaped')), entry[0]);
    const left = filesBelow(data).filter(({ path }) => !path.endsWith('restore-unfinished'));
    assert.ok(
      left.every(({ path }) => path.startsWith(join(data, 'blobs'))),
      entry[0],
    );
  }
  const shapes: Parameters<typeof entryOf>[][] = [
    [],
    [['panda.db', 'x']],
    [['backup.json', manifest]],
    [['backup.json', '{"format":2}']],
    [['backup.json', 'no json']],
    [
      ['backup.json', manifest],
      ['backup.json', manifest],
    ],
    [
      ['backup.json', manifest],
      ['panda.db', 'x'],
      ['end.json', JSON.stringify({ files: 1, bytes: 1, databaseSha256: sha256 })],
    ],
  ];
  for (const [n, entries] of shapes.entries()) {
    const file = join(folder, `shape${n}`);
    await forged(file, recipient, entries);
    await assert.rejects(verifyBackup(file, identityFile), {
      code: 'ERR_MISCONFIGURED',
      message: /not a whole backup/,
    });
  }
});

test('nothing is overwritten: not a file that is there, nor a folder that has something', async (t) => {
  const { server } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t);
  const file = join(folder, 'backup.age');
  writeFileSync(file, 'mine');
  await assert.rejects(backup(server, file, recipient), { code: 'ERR_ALREADY_EXISTS' });
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  rmSync(file);
  await backup(server, file, recipient);
  await assert.rejects(restoreBackup({ data: folder }, file, identityFile), {
    code: 'ERR_CONFLICT',
    message: /is not empty/,
  });
  const open = join(folder, 'open');
  mkdirSync(open, { mode: 0o755 });
  await assert.rejects(restoreBackup({ data: open }, file, identityFile), {
    message: /must be this user's own and closed to others/,
  });
  const secretKey = readFileSync(identityFile, 'utf8').trim().split('\n').at(-1) ?? '';
  await assert.rejects(backup(server, `${file}2`, secretKey), (error: Error) => {
    assert.match(error.message, /the recipient is a secret key/);
    assert.ok(!error.message.includes(secretKey.slice(20, 60)));
    return true;
  });
  await assert.rejects(backup(server, `${file}2`, 'age1nonsense'), { message: /is no recipient of age/ });
  await assert.rejects(
    makeBackup({ data: server.folder, rootKeys: ['vault:x'] }, server.installation, Date.now, {
      to: `${file}2`,
      recipients: [recipient],
      withKeys: true,
    }),
    { code: 'ERR_MISCONFIGURED' },
  );
  assert.ok(!existsSync(`${file}2`));
});

test('a backup and a restore that are killed at any moment leave nothing that looks whole, and work the next time', async (t) => {
  const { server, token, secrets } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t);
  const [node, ...words] = programWords('panda-secrets');
  const start = (...args: string[]) =>
    spawn(node, [...words, ...args], { env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
  /** Kills it once at a moment in the life of such a process, which takes `life` milliseconds. */
  async function killed(life: number, args: string[]): Promise<number | null> {
    const child = start(...args);
    const timer = setTimeout(() => child.kill('SIGKILL'), life * Math.random());
    const [status] = await once(child, 'close');
    clearTimeout(timer);
    return status;
  }
  const makes = (file: string) => [
    'backup',
    '--data',
    server.folder,
    '--to',
    file,
    '--recipient',
    recipient,
    '--with-keys',
  ];
  const puts = (file: string, data: string) => ['restore', file, '--identity', identityFile, '--data', data];
  const began = performance.now();
  const whole = join(folder, 'whole.age');
  assert.equal((await once(start(...makes(whole)), 'close'))[0], 0);
  const life = performance.now() - began;
  for (let n = 0; n < 4; n++) {
    const file = join(folder, `backup${n}.age`);
    const status = await killed(life, makes(file));
    // It has its name when it is whole, a moment before the process ends.
    if (status === 0) assert.ok(existsSync(file));
    if (existsSync(file)) await verifyBackup(file, identityFile);
    const data = join(folder, `data${n}`);
    if ((await killed(life, puts(whole, data))) === 0) continue;
    const isBegun = existsSync(data) && readdirSync(data).length > 0;
    if (!isBegun) continue;
    const again = await once(start(...puts(whole, data)), 'close');
    assert.notEqual(again[0], 0, 'a part of a restore is in the way');
    assert.equal(existsSync(join(data, 'restore-unfinished')) || existsSync(join(data, 'panda.db')), true);
  }
  assert.equal((await server.ask(token, setUserSecrets, { key: 'AFTER', value: 'x' })).success, true);
  await until(
    () => readdirSync(folder).filter((name) => name.includes('.partial-')).length,
    (left) => left <= 4,
  );
  const data = join(folder, 'last');
  await restoreBackup({ data }, whole, identityFile);
  await server.stop();
  assert.deepEqual(await secretsIn(t, data, token), secrets);
});

test('a copy of the database that a killed backup left goes at the next one and at a start, and that of one at work stays', async (t) => {
  const { server } = await busyServer(t);
  const { folder, recipient } = await keyFolder(t);
  const copies = () => readdirSync(server.folder).filter((name) => name.startsWith('backup-'));
  const copy = (name: string) => join(server.folder, `backup-${name.repeat(36)}`);
  async function leave(name: string): Promise<void> {
    mkdirSync(copy(name), { mode: 0o700 });
    const module = join(import.meta.dirname, '../../src/payload/process-lock.ts');
    const script = `import { takeLock } from ${JSON.stringify(module)}; await takeLock(process.argv[1])`;
    const words = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script, copy(name)];
    assert.equal(spawnSync(process.execPath, words).status, 0);
    writeFileSync(join(copy(name), 'panda.db'), 'names of users');
  }
  await leave('a');
  mkdirSync(copy('b'), { mode: 0o700 });
  await takeLock(copy('b'));
  await backup(server, join(folder, 'backup.age'), recipient);
  assert.deepEqual(copies(), [`backup-${'b'.repeat(36)}`]);
  await leave('c');
  await server.stop();
  await (await startServer(t, { settings: { data: server.folder } })).stop();
  assert.deepEqual(copies(), [`backup-${'b'.repeat(36)}`]);
});

test('while a backup is read nothing of it has a name; one whose reader ends is told, and is no success', async (t) => {
  const { server } = await busyServer(t);
  const { recipient } = await keyFolder(t);
  const [node, ...words] = programWords('panda-secrets');
  const args = ['backup', '--data', server.folder, '--to', '-', '--recipient', recipient];
  const child = spawn(node, [...words, ...args], { env: { PATH: process.env['PATH'] } });
  let told = '';
  child.stderr.on('data', (text) => {
    told += text;
  });
  // Its head is there, and the rest is more than a pipe takes.
  await once(child.stdout, 'readable');
  assert.deepEqual(
    readdirSync(server.folder).filter((name) => name.startsWith('backup-')),
    [],
  );
  child.stdout.destroy();
  const [status] = await once(child, 'close');
  assert.equal(status, 1, told);
  assert.match(
    told,
    /^panda-secrets: the backup is not whole: what reads standard output ended before it had all of it\n$/,
  );
});

test('with the root keys come those of places that were added, and what is in no file is named', async (t) => {
  const { server, token, secrets } = await busyServer(t);
  const { folder, identityFile, recipient } = await keyFolder(t, 'plain');
  const { installation } = server;
  const keys = createRootKeyAdministration(installation, { clock: Date.now });
  const added = await keys.add(`file:${join(folder, 'second')}`);
  writeFileSync(join(folder, 'pw'), 'correct horse battery', { mode: 0o600 });
  const locked = `passphrase:${join(folder, 'locked')}?passphrase-file=${join(folder, 'pw')}`;
  await passphraseFiles(4).add(locked, {});
  await installation.places.add(locked);
  const transit = `transit+https://bao.example.org/transit/panda?token-file=${join(folder, 'pw')}`;
  await installation.places.add(transit);
  await server.reload();
  await keys.activate(added);
  await keys.rewrap(() => {});
  const file = join(folder, 'backup.age');
  const made = await backup(server, file, recipient, true);
  const names = made.places.map(({ name }) => name);
  assert.deepEqual(names, ['root-keys', 'root-keys.2', 'root-keys.3', null]);
  assert.equal(made.places[3]?.place, transit);
  await server.stop();
  for (const gone of ['second', 'locked']) rmSync(join(folder, gone));

  const data = join(folder, 'restored');
  await restoreBackup({ data }, file, identityFile);
  const noted = JSON.parse(readFileSync(join(data, 'root-key-places.json'), 'utf8')).places;
  assert.deepEqual(
    noted,
    ['root-keys', 'root-keys.2'].map((name) => pathToFileURL(join(data, name)).href),
    'no place that an archive names is believed',
  );
  assert.match(readFileSync(join(data, 'root-keys.3'), 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----/);
  assert.deepEqual(await secretsIn(t, data, token), secrets);
});

/** PostgreSQL of a distribution, whose `pg_dump` is of the same release as its server. */
const programs = globSync('/usr/lib/postgresql/*').sort().at(-1);
const hasPrograms = programs !== undefined && existsSync(join(programs, 'bin', 'postgres'));

test('on PostgreSQL, a dump and a backup beside it are restored together, and every secret opens', {
  skip:
    !hasPrograms && 'no PostgreSQL with pg_dump beside its server is installed (Debian: apt-get install postgresql)',
}, async (t) => {
  const postgres = await startEmbeddedPostgres({ programs: programs as string });
  t.after(() => postgres.stop());
  const run = (program: string, ...args: string[]) => {
    const { status, stderr, stdout } = spawnSync(join(programs as string, 'bin', program), args, {
      maxBuffer: 2 ** 28,
    });
    assert.equal(status, 0, stderr.toString());
    return stdout;
  };
  const { folder, identityFile, recipient } = await keyFolder(t);
  const database = databaseAt(postgres.url, 'panda');
  await execute(postgres.url, 'create database panda');
  const server = await startServer(t, { settings: { database } });
  const token = await server.userToken('ada');
  const secrets = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`KEY_${n}`, `value ${n}`]));
  for (const [key, value] of Object.entries(secrets)) await server.ask(token, setUserSecrets, { key, value });

  // As docs/operator-reference.md has it: the database first, then the files that it names.
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const dump = await encrypter.encrypt(run('pg_dump', '--format=custom', database));
  const file = join(folder, 'files.age');
  const settings = { data: server.folder, database };
  const request = { to: file, recipients: [recipient], withKeys: true };
  const made = await makeBackup(settings, server.installation, Date.now, request);
  assert.deepEqual([made.database, made.databaseSha256], ['postgresql', null]);
  await server.stop();

  const decrypter = new Decrypter();
  decrypter.addIdentity(readFileSync(identityFile, 'utf8').trim().split('\n').at(-1) ?? '');
  const plain = join(folder, 'panda.dump');
  writeFileSync(plain, await decrypter.decrypt(dump), { mode: 0o600 });
  await execute(postgres.url, 'create database restored');
  run('pg_restore', '--no-owner', '--exit-on-error', '--dbname', databaseAt(postgres.url, 'restored'), plain);
  const data = join(folder, 'restored');
  await restoreBackup({ data }, file, identityFile);
  const again = await startServer(t, { settings: { data, database: databaseAt(postgres.url, 'restored') } });
  const { data: text } = await again.ask(token, getUserSecrets, {});
  assert.deepEqual(JSON.parse(String(text)), secrets);
});
