import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { auditEntries, auditHeads, verifyAudits } from '../../src/audit/audit.ts';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { wireName } from '../../src/protocol/names.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { eraseUser } from '../../src/site/erase.ts';
import { type Installation, openInstallation } from '../../src/site/installation.ts';
import { TABLES_OF_A_USER } from '../../src/store/erased-owners.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { eachStore, sqliteDatabase, type TestDatabase } from '../stores.ts';

async function startSite(t: TestContext, database: TestDatabase) {
  const where = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings: where });
  // As `panda-secrets user erase` has it, in a process beside the server.
  const installation = await openInstallation(where, { create: false, clock: Date.now });
  t.after(() => installation.close());
  return { server, installation };
}

async function clientOf(t: TestContext, server: TestServer, name: string): Promise<Client> {
  const token = await server.userToken(name);
  const client = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

async function submit(client: Client, sandbox: string, name: string): Promise<number> {
  const uploaded = await client.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(sandbox));
  const task = {
    exec: 'true',
    outDataset: `user.x.${name}`,
    outputs: ['out.txt'],
    jobs: 2,
    useSecrets: true,
    commandLine: 'prun',
  };
  return (await client.submitTask(buildTaskParameters(task, 'panda', uploaded))).taskId;
}

const erase = (installation: Installation, name: string) => eraseUser(installation, name, { clock: Date.now });

/** Files that came an hour ago: those of this minute may be another user's as well. */
function age(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile())
      utimesSync(join(entry.parentPath, entry.name), Date.now() / 1000 - 3600, Date.now() / 1000 - 3600);
  }
}

eachStore('every table with rows of a user is in the list of what an erasure takes', async (_t, database) => {
  const { db } = await database.open();
  const tables = await db.introspection.getTables();
  for (const column of ['owner_id', 'subject'] as const) {
    const found = tables.filter(({ columns }) => columns.some(({ name }) => name === column)).map(({ name }) => name);
    // The audit has ids alone, and is append-only; owners themselves go last.
    const listed: readonly string[] = [...TABLES_OF_A_USER[column], 'audit', 'owners'];
    assert.deepEqual(
      found.filter((name) => !listed.includes(name)),
      [],
      column,
    );
  }
  // Rows that belong to a task, a job or a delivery.
  const parents = ['task_id', 'job_id', 'delivery_id', 'secret_id', 'sandbox'];
  const belonging = tables.filter(({ columns }) => columns.some(({ name }) => parents.includes(name)));
  const listed: readonly string[] = TABLES_OF_A_USER.owner_id;
  assert.deepEqual(
    belonging.map(({ name }) => name).filter((name) => !listed.includes(name)),
    [],
  );
});

eachStore(
  'an erased user leaves nothing but ids in an audit that verifies, while a job of theirs runs and reports',
  async (t, database) => {
    const { server, installation } = await startSite(t, database);
    const [alice, bob] = [await clientOf(t, server, 'alice'), await clientOf(t, server, 'bob')];
    for (const client of [alice, bob]) await client.setSecret(wireName('A'), 'a value to be forgotten');
    await submit(alice, 'only of alice', 'one');
    const { pilot } = await server.joinedPilot();
    const sealing_keys = (await newRecipient()).offers;
    const [job] = await pilot.acquireJobs({ site_name: 'default', node: 'node1', sealing_keys });
    assert.ok(job?.sealedSecrets);
    const owner = job.sealedSecrets.owner;
    const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
    await pilot.updateJob({ ...attempt, job_status: 'running' });
    await pilot.appendJobLog({ ...attempt, offset: 0 }, Buffer.from('what alice printed'));
    const log = join(server.folder, 'log');
    writeFileSync(log, 'the log of alice');
    await pilot.uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, log);
    await submit(bob, 'of bob', 'two');
    const { store } = installation;
    const heads = await auditHeads(store);
    const [row] = await store.db.selectFrom('data_keys').select('wrapped').where('owner_id', '=', owner).execute();
    age(join(installation.data, 'blobs'));

    const erased = await erase(installation, 'alice');
    const { log_emptied, ...told } = erased;
    assert.deepEqual(told, { owner, secrets: 1, jobs: 2, tried: 1, files: { removed: 2, later: 0 } });
    assert.equal(log_emptied, database.url === undefined ? true : null);
    await assert.rejects(pilot.updateJob({ ...attempt, job_status: 'running' }), /there is no attempt/);
    await assert.rejects(pilot.uploadJobFile({ ...attempt, kind: 'output', name: 'x' }, log));
    await assert.rejects(
      pilot.updateJob({ ...attempt, job_status: 'finished', trans_exit_code: 0 }),
      /there is no attempt/,
    );
    await assert.rejects(alice.setSecret(wireName('B'), 'again'), 'a token that is still taken begins nothing anew');

    assert.deepEqual(new Set((await verifyAudits(store, heads)).map(({ check }) => check.whole)), new Set([true]));
    for (const { chain } of await auditHeads(store)) {
      for await (const entry of auditEntries(store, chain)) assert.doesNotMatch(JSON.stringify(entry), /alice/);
    }
    assert.equal((await bob.getSecrets()).get(wireName('A'))?.reveal(), 'a value to be forgotten');
    assert.equal((await bob.listTasks({})).length, 1);
    const files = readdirSync(join(installation.data, 'blobs'), { recursive: true, withFileTypes: true }).filter(
      (one) => one.isFile(),
    );
    assert.equal(files.length, 1, "bob's sandbox");
    if (database.url === undefined) {
      for (const name of ['panda.db', 'panda.db-wal']) {
        const bytes = readFileSync(join(database.folder, name));
        assert.equal(bytes.indexOf(row?.wrapped as Uint8Array), -1, `${name} has no trace of the data key`);
      }
    }
  },
);

eachStore('a user of another issuer is erased by their full name, and comes back as another', async (t, database) => {
  const { installation } = await startSite(t, database);
  const { store, rootKeys } = installation;
  const { createOwners } = await import('../../src/identity/owners.ts');
  const { createVault } = await import('../../src/vault/vault.ts');
  const caller = { issuer: 'iam', subject: 'ada@example.org', displayName: 'Ada Doe' };
  const owner = await createOwners({ store, clock: Date.now }).of(caller);
  const vault = createVault({ store, rootKeys, clock: Date.now });
  t.after(() => vault.close());
  await vault.set(owner, wireName('A'), 'x');
  assert.equal((await erase(installation, 'iam#ada@example.org')).tried, 1);
  await assert.rejects(erase(installation, 'iam#ada@example.org'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(vault.set(owner, wireName('A'), 'by a server that remembers'), { code: 'ERR_NOT_FOUND' });
  assert.notEqual(await createOwners({ store, clock: Date.now }).of(caller), owner);
  for (const { chain } of await auditHeads(store)) {
    for await (const entry of auditEntries(store, chain)) assert.doesNotMatch(JSON.stringify(entry), /ada@|Ada|Doe/);
  }
});

test('an erasure that is broken off before any of its steps goes on with the same name, and leaves no file', async (t) => {
  const { server, installation } = await startSite(t, sqliteDatabase(t));
  const { store } = installation;
  const { name: blobFolder } = await installation.blobStore();
  for (let step = 0, whole = false; !whole; step++) {
    const name = `user${step}`;
    const user = await clientOf(t, server, name);
    await user.setSecret(wireName('A'), 'x');
    await submit(user, `sandbox of ${name}`, 'task');
    age(blobFolder);
    let left = step;
    const broken = {
      ...store,
      write: (work: Parameters<typeof store.write>[0]) =>
        --left < 0 ? Promise.reject(new Error('killed')) : store.write(work),
    };
    whole = await eraseUser({ ...installation, store: broken as typeof store }, name, { clock: Date.now }).then(
      () => true,
      async (error) => {
        assert.match(error.message, /killed/);
        await erase(installation, name);
        return false;
      },
    );
    await assert.rejects(erase(installation, name), { code: 'ERR_NOT_FOUND' });
    const files = readdirSync(blobFolder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    assert.deepEqual(files, [], `before step ${step}`);
    assert.ok(step < 20);
  }
});

test('an erasure that was broken off is begun again; an account that nobody used goes as well', async (t) => {
  const { server, installation } = await startSite(t, sqliteDatabase(t));
  const alice = await clientOf(t, server, 'alice');
  await alice.setSecret(wireName('A'), 'x');
  for (let n = 0; n < 3; n++) await submit(alice, `sandbox ${n}`, `task${n}`);
  // The fourth transaction, behind those that stop her and take her secrets.
  let left = 4;
  const { store } = installation;
  const broken = {
    ...store,
    write: (work: Parameters<typeof store.write>[0]) =>
      --left < 0 ? Promise.reject(new Error('killed')) : store.write(work),
  };
  await assert.rejects(
    eraseUser({ ...installation, store: broken as typeof store }, 'alice', { clock: Date.now }),
    /killed/,
  );
  const { secrets, owner } = await erase(installation, 'alice');
  assert.equal(secrets, 0, 'they went first');
  assert.ok(owner);
  await server.userToken('carol');
  assert.equal((await erase(installation, 'carol')).owner, null);
  await assert.rejects(erase(installation, 'nobody'), { code: 'ERR_NOT_FOUND' });
  assert.ok((await verifyAudits(store)).every(({ check }) => check.whole));
});
