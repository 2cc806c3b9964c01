import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { type Client, createClient } from '../../src/client/client.ts';
import { followLogs } from '../../src/client/follow-logs.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { removeOrphans } from '../../src/jobs/file-room.ts';
import { wireName } from '../../src/protocol/names.ts';
import { makeBackup } from '../../src/site/backup/make.ts';
import { restoreBackup } from '../../src/site/backup/restore.ts';
import { examine } from '../../src/site/doctor.ts';
import { eraseUser } from '../../src/site/erase.ts';
import { copyBlobs } from '../../src/site/migrate-blobs.ts';
import { readSettings, type Settings } from '../../src/site/settings.ts';
import { parseBlobPlace } from '../../src/store/blob-place.ts';
import { openBlobStore } from '../../src/store/open-blob-store.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';
import { LOOPBACK } from '../client/certificates.ts';
import { filesBelow, startSite } from '../end-to-end/site.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { noS3, S3_ENVIRONMENT, startStorage, type TestStorage } from '../store/s3.ts';
import { onPostgres, type TestDatabase } from '../stores.ts';

const HOUR = 3600_000;
const MiB = 2 ** 20;

/** Whole servers whose files are in a storage that speaks S3. */
function withStorage(name: string, body: (t: TestContext, storage: TestStorage) => Promise<void>): void {
  test(name, { skip: noS3 }, async (t) => body(t, await startStorage(t)));
}

/** The same, on PostgreSQL. */
function withStorageAndPostgres(
  name: string,
  body: (t: TestContext, storage: TestStorage, database: TestDatabase) => Promise<void>,
): void {
  if (noS3) test(name, { skip: noS3 }, () => {});
  else onPostgres(name, async (t, database) => body(t, await startStorage(t), database));
}

/** A data folder for a further server of an installation, with the root keys of another's. */
function furtherFolder(folder: string, rootKeys: string): string {
  mkdirSync(folder, { mode: 0o700 });
  copyFileSync(rootKeys, join(folder, 'root-keys'));
  return folder;
}

function clientOf(t: TestContext, { url }: { url: string }, token: string): Client {
  const client = createClient({ url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

/** Uploads a sandbox and submits a task of one job with it. */
async function submit(alice: Client): Promise<{ name: string; bytes: Buffer }> {
  const bytes = gzipSync(randomBytes(50_000));
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, bytes);
  const outDataset = `user.alice.${randomUUID()}`;
  const task = { exec: 'true', outDataset, outputs: ['out.bin'], jobs: 1, useSecrets: false, commandLine: 'prun' };
  await alice.submitTask(buildTaskParameters(task, 'panda', sandbox));
  return { name: sandbox.fileName, bytes };
}

/** The objects that hold files, as the storage keeps them. */
function objects({ folder }: TestStorage): string[] {
  return filesBelow(folder).flatMap(({ path }) => (/\/files\/..\/[0-9a-f]{96}$/.test(path) ? path : []));
}

function age(storage: TestStorage, hours: number): void {
  const then = (Date.now() - hours * HOUR) / 1000;
  for (const path of objects(storage)) utimesSync(path, then, then);
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 10));

withStorageAndPostgres(
  'two servers without a shared folder work on the files of one bucket',
  async (t, storage, database) => {
    const serverAt = (data: string) =>
      startServer(t, { settings: { data, database: database.url ?? '', blobs: storage.place() } });
    const data = ['one', 'two'].map((name) => join(database.folder, name)) as [string, string];
    const one = await serverAt(data[0]);
    const two = await serverAt(furtherFolder(data[1], join(data[0], 'root-keys')));
    const [token, pilotToken] = [await one.userToken('alice'), await one.pilotToken()];
    const alice = [clientOf(t, one, token), clientOf(t, two, token)] as const;
    const pilot = [clientOf(t, one, pilotToken), clientOf(t, two, pilotToken)] as const;

    const sandbox = await submit(alice[0]);
    const [job] = await pilot[1].acquireJobs({ site_name: 'default' });
    assert.ok(job);
    const fetched = await fetch(new URL(`/cache/${sandbox.name}`, two.url));
    assert.ok(Buffer.from(await fetched.arrayBuffer()).equals(sandbox.bytes), 'a sandbox that the other server took');
    const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
    await pilot[0].updateJob({ ...attempt, job_status: 'running' });
    let text = '';
    for (let n = 0; n < 6; n++) {
      const line = `line ${n}\n`;
      await pilot[n % 2 === 0 ? 0 : 1].appendJobLog({ ...attempt, offset: text.length }, Buffer.from(line));
      text += line;
      for (const owner of alice)
        assert.equal((await owner.getJobLog({ job_id: job.PandaID })).content.toString(), text, `line ${n}`);
    }
    // Of more than one part.
    const output = randomBytes(6 * MiB);
    const [name = ''] = job.outFiles.split(',');
    await pilot[0].uploadJobFile({ ...attempt, kind: 'output', name }, Readable.from([output]));
    await pilot[1].uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, Readable.from(['the whole log']));
    const file = { job_id: job.PandaID, attempt: job.attemptNr };
    assert.ok((await buffer(await alice[1].getJobFile({ ...file, name }))).equals(output));
    const log = await alice[0].getJobFile({ ...file, name: job.logFile });
    assert.equal((await buffer(log)).toString(), 'the whole log');
    assert.deepEqual(
      filesBelow(storage.folder).filter(({ path }) => /\/live\/.*\d{12}$/.test(path)),
      [],
      'the log that grew went when the whole one came',
    );
    for (const folder of data) assert.ok(!existsSync(join(folder, 'blobs')));
    assert.equal(objects(storage).length, 3);

    const erased = await eraseUser(two.installation, 'alice', { clock: () => Date.now() + HOUR });
    assert.equal(erased.files.removed, 3);
    assert.deepEqual(objects(storage), []);
  },
);

withStorageAndPostgres(
  'a job of a real pilot at one server is followed at another, and all that it brings is in the bucket',
  async (t, storage, database) => {
    const settings = { PANDA_SECRETS_DATABASE: database.url ?? '', PANDA_SECRETS_BLOBS: storage.place() };
    const site = await startSite(t, { settings: { ...settings, ...S3_ENVIRONMENT } });
    const data = furtherFolder(join(database.folder, 'two'), join(site.data, 'root-keys'));
    const blobs = storage.place();
    const other = await startServer(t, { settings: { data, database: database.url ?? '', blobs } });
    // The job ends when this answers: after its first line was seen.
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const gate = createServer((_request, response) => opened.then(() => response.end())).listen(0, '127.0.0.1');
    t.after(() => gate.close());
    await once(gate, 'listening');
    const wait = `python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${(gate.address() as AddressInfo).port}/')"`;

    const user = await site.user('adoe');
    writeFileSync(join(user.directory, 'input.txt'), 'from the sandbox\n');
    const job = `cat input.txt; ${wait}; cp input.txt out.txt; echo after`;
    const { stdout } = await user.prun('--exec', job, '--outDS', 'user.adoe.s3', '--outputs', 'out.txt');
    const task = Number(/jediTaskID=(\d+)/.exec(stdout)?.[1]);
    const pilot = site.pilot();
    const client = clientOf(t, other, user.token);
    let text = '';
    for await (const { bytes } of followLogs(client, task, { everySeconds: 0.2 })) {
      text += Buffer.from(bytes).toString();
      if (text.includes('from the sandbox\n')) open();
    }
    assert.equal((await pilot).status, 0);
    assert.match(text, /\nfrom the sandbox\nafter\npanda-pilot: the payload finished\n$/);
    assert.equal((await user.pbook('logs', String(task))).stdout, text, 'the same, byte for byte, as the whole log');
    await user.pbook('get_outputs', String(task));
    const brought = filesBelow(user.directory).filter(({ path }) => /out\.txt/.test(path));
    assert.deepEqual(
      brought.map(({ bytes }) => bytes.toString()),
      ['from the sandbox\n'],
    );
    assert.equal(objects(storage).length, 3);
    assert.ok(!existsSync(join(site.data, 'blobs')));

    const copied = await site.operator('migrate-blobs', '--to', `file:${join(site.data, 'files')}`);
    assert.match(copied, /^3 files, \d+ bytes, are copied from s3:..panda.site. at http\S+ to \S+, and were read back/);
    assert.match(copied, /\nstart the servers with the setting blobs = "file:.*"$/);
    const key = join(database.folder, 'key.txt');
    const identity = await generateX25519Identity();
    writeFileSync(key, `${identity}\n`);
    const [backup, restored] = ['backup.age', 'restored'].map((one) => join(database.folder, one)) as [string, string];
    await site.operator('backup', '--to', backup, '--recipient', await identityToRecipient(identity));
    const said = await site.operator('restore', backup, '--identity', key, '--data', restored);
    assert.ok(
      said.includes(
        `run "panda-secrets migrate-blobs --data ${restored} --from 'file://${restored}/blobs' --to '${blobs}'"`,
      ),
      said,
    );
    assert.equal(filesBelow(join(site.data, 'files')).filter(({ path }) => /[0-9a-f]{64}$/.test(path)).length, 3);
  },
);

withStorage(
  'a storage that ends and comes back while users upload loses nothing that was acknowledged',
  async (t, storage) => {
    const server = await startServer(t, { settings: { blobs: storage.place() } });
    const token = await server.userToken('alice');
    const alice = clientOf(t, server, token);
    const kept: string[] = [];
    const refusals: { status: number; message: string; retry: string | null }[] = [];
    const upload = async () => {
      const [name, bytes] = [`jobO.${randomUUID()}.tar.gz`, gzipSync(randomBytes(20_000))];
      const form = new FormData();
      form.set('file', new Blob([bytes]), name);
      const answer = await fetch(new URL('/api/v1/file_server/upload_cache_file', server.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: form,
      });
      const { success, message } = (await answer.json()) as { success: boolean; message: string };
      if (success) kept.push(createHash('sha256').update(bytes).digest('hex'));
      else refusals.push({ status: answer.status, message, retry: answer.headers.get('retry-after') });
    };
    let uploading = true;
    const users = Array.from({ length: 3 }, async () => {
      while (uploading) await upload();
    });
    const upTo = async (reached: () => boolean) => {
      while (!reached()) await soon();
    };
    for (let times = 0; times < 2; times++) {
      const before = kept.length;
      await upTo(() => kept.length > before);
      await storage.stop();
      await alice.setSecret(wireName('KEPT'), String(times));
      const refused = refusals.length;
      await upTo(() => refusals.length > refused);
      await storage.start();
    }
    const before = kept.length;
    await upTo(() => kept.length > before);
    uploading = false;
    await Promise.all(users);
    for (const { status, message, retry } of refusals) {
      assert.deepEqual([status, retry], [503, '10'], message);
      assert.match(message, /storage for files is away at the moment/);
    }
    assert.match(server.logs(), /"code":"ERR_UNAVAILABLE","cause":"ECONN/);
    assert.doesNotMatch(server.logs(), /not a secret of anybody|ERR_INTERNAL/);
    const { blobs } = await server.installation.blobStore();
    // Each stream fails unless it is what was kept.
    for (const sha256 of kept) await buffer((await blobs.get(sha256)).stream);
  },
);

withStorage(
  'a bucket that is not there and credentials that are wrong keep a server from starting, a storage that is away does not',
  async (t, storage) => {
    const start = (blobs: string) => startServer(t, { settings: { blobs } });
    await assert.rejects(start(storage.place().replace('//panda/', '//nobodys/')), {
      code: 'ERR_MISCONFIGURED',
      message: /s3:..nobodys.site. at http:.*: there is no such bucket; make it.*NoSuchBucket/,
    });
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong-and-never-shown';
    await assert.rejects(start(storage.place()), (error: Error) => {
      assert.match(error.message, /it does not know these credentials; correct them \(SignatureDoesNotMatch\)/);
      assert.doesNotMatch(error.message, /never-shown/);
      return true;
    });
    Object.assign(process.env, S3_ENVIRONMENT);

    const there = await start(storage.place());
    const settings: Settings = { ...readSettings({}, {}), data: there.folder, blobs: storage.place() };
    const ofStorage = async () =>
      (await examine(settings, { clock: Date.now })).filter(({ check }) => check === 'storage');
    assert.equal((await ofStorage())[0]?.state, 'fine');
    await storage.stop();
    const [found] = await ofStorage();
    assert.deepEqual(
      [found?.state, /bring back what is away: the database, the storage/.test(found?.todo ?? '')],
      ['wrong', true],
    );

    const early = await start(storage.place('later'));
    assert.match(
      early.logs(),
      /the storage for files, s3:..panda.later.* is away: sandboxes, logs and outputs are refused/,
    );
    await storage.start();
    await submit(clientOf(t, early, await early.userToken('alice')));
    assert.equal(objects(storage).length, 1);
  },
);

test('a storage with a certificate of its own needs the file of its issuer; credentials may be in a file', {
  skip: noS3,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'panda-s3-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(cert, LOOPBACK.cert);
  writeFileSync(key, LOOPBACK.key, { mode: 0o600 });
  const storage = await startStorage(t, { cert, key });
  await assert.rejects(startServer(t, { settings: { blobs: storage.place() } }), {
    code: 'ERR_MISCONFIGURED',
    message: /its certificate is not one that this server trusts; name the file of its issuer \(ca=FILE\)/,
  });
  const credentials = join(folder, 'credentials');
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = S3_ENVIRONMENT;
  writeFileSync(credentials, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`, {
    mode: 0o600,
  });
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = credentials;
  t.after(() => delete process.env['AWS_SHARED_CREDENTIALS_FILE']);
  const server = await startServer(t, { settings: { blobs: `${storage.place()}&ca=${cert}` } });
  await submit(clientOf(t, server, await server.userToken('alice')));
  assert.equal(objects(storage).length, 1);
});

/** A server with one sandbox in the storage. */
async function serverWithSandbox(t: TestContext, storage: TestStorage): Promise<{ server: TestServer; bytes: Buffer }> {
  const server = await startServer(t, { settings: { blobs: storage.place() } });
  return { server, ...(await submit(clientOf(t, server, await server.userToken('alice')))) };
}

withStorage('a file in the storage that nothing names is removed', async (t, storage) => {
  const { server } = await serverWithSandbox(t, storage);
  const { store, blobStore } = server.installation;
  const { blobs } = await blobStore();
  await blobs.put(Readable.from([Buffer.from('nobody names it')]), { maxBytes: 100 });
  age(storage, 48);
  assert.equal(await removeOrphans({ store, blobs, clock: Date.now }), 1);
  assert.equal(objects(storage).length, 1);
});

withStorage(
  'nothing of a user goes while the storage is away, and they are erased when it is back',
  async (t, storage) => {
    const { server } = await serverWithSandbox(t, storage);
    const clock = () => Date.now() + HOUR;
    await storage.stop();
    await assert.rejects(eraseUser(server.installation, 'alice', { clock }), { code: 'ERR_UNAVAILABLE' });
    await storage.start();
    const { files } = await eraseUser(server.installation, 'alice', { clock });
    assert.deepEqual(files, { removed: 1, later: 0 });
    assert.deepEqual(objects(storage), []);
  },
);

withStorage(
  'a backup has the files of a storage, and they are put into another one from what it restores',
  async (t, storage) => {
    const { server, bytes } = await serverWithSandbox(t, storage);
    const identity = await generateX25519Identity();
    const [keyFile, file, data] = ['key.txt', 'backup.age', 'restored'].map((name) => join(server.folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(keyFile, `${identity}\n`);
    const request = { to: file, recipients: [await identityToRecipient(identity)], withKeys: true };
    assert.equal((await makeBackup({ data: server.folder }, server.installation, Date.now, request)).missing, 0);
    await restoreBackup({ data }, file, keyFile);
    assert.ok(filesBelow(join(data, 'blobs')).some((one) => one.bytes.equals(bytes)));
    const bucket = storage.place('restored');
    const places = { from: `file:${join(data, 'blobs')}`, to: bucket };
    assert.equal((await copyBlobs(server.installation, Date.now, places)).copied, 1);
    rmSync(join(data, 'blobs'), { recursive: true });
    const restored = await startServer(t, { settings: { data, blobs: bucket } });
    const found: Buffer[] = [];
    const { blobs } = await restored.installation.blobStore();
    for await (const { sha256 } of blobs.list()) found.push(await buffer((await blobs.get(sha256)).stream));
    assert.deepEqual(found, [bytes]);
  },
);

withStorage(
  'files move to another place and back; what is there is not copied again, and what is not whole is named',
  async (t, storage) => {
    const { server, bytes } = await serverWithSandbox(t, storage);
    const { installation } = server;
    const copy = async (from: string | undefined, to: string) => {
      const { copied, there, missing, damaged } = await copyBlobs(installation, Date.now, { from, to });
      return { copied, there, missing, damaged: damaged.length };
    };
    const folder = join(server.folder, 'moved');
    const [moved, third] = [storage.place('moved'), storage.place('third')];
    assert.deepEqual(await copy(undefined, `file:${folder}`), { copied: 1, there: 0, missing: 0, damaged: 0 });
    assert.deepEqual(await copy(undefined, `file:${folder}`), { copied: 0, there: 1, missing: 0, damaged: 0 });
    assert.deepEqual(await copy(`file:${folder}`, moved), { copied: 1, there: 0, missing: 0, damaged: 0 });
    assert.deepEqual(await copy(`file:${join(server.folder, 'empty')}`, third), {
      copied: 0,
      there: 0,
      missing: 1,
      damaged: 0,
    });
    const [path = ''] = filesBelow(folder).flatMap((one) => (one.bytes.equals(bytes) ? one.path : []));
    writeFileSync(path, Buffer.alloc(statSync(path).size));
    assert.deepEqual(await copy(`file:${folder}`, third), { copied: 0, there: 0, missing: 0, damaged: 1 });
    assert.equal(readdirSync(join(storage.folder, 'third')).includes('files'), false, 'nothing of it is there');
    assert.deepEqual(await copy(moved, third), { copied: 1, there: 0, missing: 0, damaged: 0 });
    await assert.rejects(copy(undefined, storage.place()), {
      code: 'ERR_MISCONFIGURED',
      message: /is where the files are/,
    });
    await storage.stop();
    await assert.rejects(copy(`file:${folder}`, storage.place('fourth')), { code: 'ERR_UNAVAILABLE' });
  },
);

withStorage('a copy that is killed goes on where it was, and leaves nothing that is not whole', async (t, storage) => {
  const command = pandaSecrets(t);
  const server = await startServer(t);
  const alice = clientOf(t, server, await server.userToken('alice'));
  for (let n = 0; n < 24; n++) await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(randomBytes(50_000)));
  const words = ['migrate-blobs', '--data', server.folder, '--to', storage.place('moved'), '--json'];
  const { child, ended } = command.start(words, S3_ENVIRONMENT);
  while (objects(storage).length < 5 && child.exitCode === null) await soon();
  child.kill('SIGKILL');
  await ended;
  const there = objects(storage).length;
  const { status, stdout, stderr } = await command.run(words, S3_ENVIRONMENT);
  assert.equal(status, 0, stderr);
  const done = JSON.parse(stdout).data;
  assert.deepEqual([done.there + done.copied, done.missing, done.damaged], [24, 0, []]);
  // The storage may have finished what it had from the killed one.
  assert.ok(there >= 5 && done.there >= there, `${there} and ${done.there}`);
  const { blobs: kept } = await server.installation.blobStore();
  const moved = await openBlobStore(parseBlobPlace(storage.place('moved')), { installation: server.installation.key });
  t.after(() => moved.close());
  const addresses: string[] = [];
  for await (const { sha256 } of moved.blobs.list()) {
    // Each stream fails unless it is what was kept.
    await buffer((await moved.blobs.get(sha256)).stream);
    addresses.push(sha256);
  }
  const all: string[] = [];
  for await (const { sha256 } of kept.list()) all.push(sha256);
  assert.deepEqual(addresses.sort(), all.sort());
});
