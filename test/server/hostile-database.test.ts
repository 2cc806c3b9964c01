import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { type Client, createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { addAccount, disableAccount } from '../../src/identity/accounts.ts';
import { createSignIn } from '../../src/identity/sign-in.ts';
import { listUsers } from '../../src/protocol/calls/admin.ts';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { acquireJobs } from '../../src/protocol/calls/pilot.ts';
import { getUserAttributes } from '../../src/protocol/calls/system.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { changeAccount } from '../../src/store/accounts.ts';
import { confirmDevice, PASSWORD, PASSWORD_HASH } from '../login/login-site.ts';
import { createVisitor } from '../login/visitor.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { startServer, type TestServer } from './start.ts';

const TAMPERED = /the server's database was changed by something else than panda-secrets \((\w+), row/;

/** A server whose database somebody else can write as well, behind its back. */
async function attacked(t: TestContext, database: TestDatabase) {
  const settings = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const { url } = database;

  /** Runs statements as the attacker. @returns the rows of the last */
  async function attack(...statements: string[]): Promise<Record<string, unknown>[]> {
    if (url === undefined) {
      const file = new DatabaseSync(join(database.folder, 'panda.db'));
      const rows = statements.map((sql) => file.prepare(sql).all());
      file.close();
      return rows.at(-1) ?? [];
    }
    const client = new pg.Client(url);
    await client.connect();
    try {
      let rows: Record<string, unknown>[] = [];
      for (const sql of statements) ({ rows } = await client.query(sql));
      return rows;
    } finally {
      await client.end();
    }
  }

  const start = () => startServer(t, { settings });
  return { attack, start, settings };
}

function clientOf(t: TestContext, { url }: TestServer, token: string): Client {
  const client = createClient({ url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

async function submit(user: Client, useSecrets = true, site?: string): Promise<number> {
  const sandbox = await user.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(`no tar, ${randomUUID()}`));
  const task = {
    exec: 'true',
    outDataset: `user.x.${randomUUID().slice(0, 8)}`,
    outputs: ['out.txt'],
    jobs: 1,
    useSecrets,
    commandLine: 'prun',
    ...(site !== undefined && { site }),
  };
  return (await user.submitTask(buildTaskParameters(task, 'panda', sandbox))).taskId;
}

const secretsOf = (server: TestServer, token: string) => server.ask(token, getUserSecrets, {});

function assertTampered(answer: { success: boolean; message: string; data: unknown }, table: string) {
  assert.deepEqual([answer.success, answer.data], [false, null], answer.message);
  assert.equal(TAMPERED.exec(answer.message)?.[1], table, answer.message);
}

eachStore("an owner's row with another person's subject opens nothing for them", async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const first = await start();
  const [alice, bob] = [await first.userToken('alice'), await first.userToken('bob')];
  await first.ask(alice, setUserSecrets, { key: 'KEY', value: "alice's value" });
  await first.ask(bob, setUserSecrets, { key: 'KEY', value: "bob's value" });
  await first.stop();
  const subjectOf = (name: string) => `(select subject from accounts where name = '${name}')`;
  await attack(
    `update owners set subject = 'x' where subject = ${subjectOf('alice')}`,
    `update owners set subject = ${subjectOf('alice')} where subject = ${subjectOf('bob')}`,
    `update owners set subject = ${subjectOf('bob')} where subject = 'x'`,
  );
  const second = await start();
  for (const token of [alice, bob]) {
    assertTampered(await secretsOf(second, token), 'owners');
    assertTampered(await second.ask(token, setUserSecrets, { key: 'KEY', value: 'x' }), 'owners');
  }
});

eachStore("a password link that somebody made in the database sets nobody's password", async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const { store } = server.installation;
  await addAccount(store, Date.now, 'alice');
  await createSignIn({ store, clock: Date.now }).createPasswordLink('alice');
  const hash = createHash('sha256').update('chosen').digest('hex');
  await attack(
    `insert into password_links (token_hash, subject, expires_at, unclaimed_only, tag)
      select '${hash}', subject, expires_at, unclaimed_only, tag from password_links`,
  );
  const visitor = createVisitor(server.url);
  const page = await visitor.get('/password/chosen');
  assert.doesNotMatch(page.html, /Choose a password/);
  await visitor.submit('/password/chosen', { password: PASSWORD, again: PASSWORD });
  const [row] = await attack("select password_hash from accounts where name = 'alice'");
  assert.equal(row?.['password_hash'], null);
  assert.match(server.logs(), /ERR_TAMPERED/);
});

for (const [what, change, table] of [
  ['command', "update tasks set parameters = replace(parameters, 'true', 'env')", 'tasks'],
  ['owner of the task', 'update tasks set owner_id = BOB', 'tasks'],
  ['list of secrets', "update tasks set secret_ids = '[]'", 'tasks'],
  ['queue of the task', "update tasks set queue = 'default'; update jobs set queue = 'default'", 'tasks'],
  ["job's owner", 'update jobs set owner_id = BOB', 'jobs'],
  ["job's number", 'update jobs set serial = 2', 'jobs'],
  ["job's queue", "update jobs set queue = 'default'", 'jobs'],
] as const) {
  eachStore(`a waiting job whose ${what} was changed is not run, and stops no other`, async (t, database) => {
    const { attack, start } = await attacked(t, database);
    const server = await start();
    await server.joinToken('trusted');
    const alice = clientOf(t, server, await server.userToken('alice'));
    const bob = clientOf(t, server, await server.userToken('bob'));
    for (const user of [alice, bob]) await user.setSecret('KEY' as never, 'a value');
    const taskId = await submit(alice, true, 'trusted');
    const [owner] = await attack(
      "select id from owners where subject = (select subject from accounts where name = 'bob')",
    );
    await attack(...change.replaceAll('BOB', `'${owner?.['id']}'`).split('; '));
    const bobs = await submit(bob);

    const queue = /queue = 'default'/.test(change) ? 'default' : 'trusted';
    const { pilot } = await server.joinedPilot(queue);
    const { offers } = await newRecipient();
    const acquire = () => pilot.acquireJobs({ site_name: queue, n_jobs: 10, sealing_keys: offers });
    assert.deepEqual(
      (await acquire()).map((job) => job.taskID),
      [bobs],
    );
    // One that waits where its owner is not known to wait is found when nobody else does.
    assert.deepEqual(await acquire(), []);
    const [job] = await attack(`select state, diagnosis, ended_at from attempts where task_id = ${taskId}`);
    assert.equal(job?.['state'], 'failed');
    assert.ok(job['ended_at'], 'its attempt has ended');
    assert.equal(TAMPERED.exec(String(job?.['diagnosis']))?.[1], table);
    assert.deepEqual(await attack(`select id from deliveries where task_id = ${taskId}`), []);
    assert.match(server.logs(), /ERR_TAMPERED/);
  });
}

eachStore("a job that was moved to another task runs as what that task's owner wanted, once", async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const alice = clientOf(t, server, await server.userToken('alice'));
  const bob = clientOf(t, server, await server.userToken('bob'));
  const [hers, his] = [await submit(alice, false), await submit(bob, false)];
  const { pilot } = await server.joinedPilot();
  // Her task has its one job, so that the database itself refuses a second of that number: it takes another.
  await attack(`update jobs set task_id = ${hers}, serial = 2,
    owner_id = (select owner_id from tasks where id = ${hers}) where task_id = ${his}`);
  assert.deepEqual(
    (await pilot.acquireJobs({ site_name: 'default', n_jobs: 10 })).map((job) => job.taskID),
    [hers],
  );
});

eachStore('what a job brought back goes to nobody to whom the job was given in the database', async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const alice = clientOf(t, server, await server.userToken('alice'));
  const bob = clientOf(t, server, await server.userToken('bob'));
  const [hers, his] = [await submit(alice, false), await submit(bob, false)];
  const { pilot } = await server.joinedPilot();
  for (const job of await pilot.acquireJobs({ site_name: 'default', n_jobs: 2 })) {
    const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
    const log = join(server.folder, `log of ${job.taskID}`);
    await writeFile(log, `the log of ${job.taskID}`);
    await pilot.uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, log);
    await pilot.updateJob({ ...attempt, job_status: 'finished' });
  }
  const [file] = await alice.getJobFiles(hers);
  assert.ok(file);
  const [before] = await bob.getJobFiles(his);
  assert.ok(before);
  await attack(
    `update job_files set sha256 = (select sha256 from job_files where job_id = ${file.job_id}) where job_id = ${before.job_id}`,
  );
  await assert.rejects(bob.getJobFiles(his), TAMPERED);
  await assert.rejects(bob.getJobFile(before));
  await attack(`update jobs set task_id = ${his}, serial = 7,
    owner_id = (select owner_id from tasks where id = ${his}) where task_id = ${hers}`);
  await assert.rejects(bob.getJobFile(file));
  await assert.rejects(bob.getJobFiles(his), TAMPERED);
});

eachStore("another's sandbox is not taken for one's own", async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const alice = clientOf(t, server, await server.userToken('alice'));
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('hers'));
  const bob = clientOf(t, server, await server.userToken('bob'));
  await bob.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('his'));
  await attack(
    `update sandboxes set sha256 = (select sha256 from sandboxes where owner_id <>
      (select owner_id from sandboxes where name = '${sandbox.fileName}')) where name = '${sandbox.fileName}'`,
  );
  const task = { exec: 'true', outDataset: 'user.alice.x', outputs: [], jobs: 1, useSecrets: true, commandLine: '' };
  await assert.rejects(alice.submitTask(buildTaskParameters(task, 'panda', sandbox)), TAMPERED);
});

eachStore('nobody becomes an operator, comes back or gets a password in the database', async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const { store } = server.installation;
  const mallory = await server.userToken('mallory');
  await store.write((tx) => changeAccount(tx, 'mallory', { password_hash: PASSWORD_HASH }));
  const carol = await server.userToken('carol');
  await disableAccount(store, Date.now, 'carol');
  await server.userToken('alice');
  await attack("update accounts set operator = 1 where name = 'mallory'");
  assertTampered(await server.ask(mallory, listUsers, {}), 'accounts');
  await attack("update accounts set operator = 0 where name = 'mallory'");
  assert.equal((await server.ask(mallory, getUserAttributes, {})).success, true);

  await attack("update accounts set disabled = 0, tokens_from = 0 where name = 'carol'");
  assertTampered(await server.ask(carol, getUserAttributes, {}), 'accounts');
  await attack("update accounts set tag = null where name = 'carol'");
  assertTampered(await server.ask(carol, getUserAttributes, {}), 'accounts');

  await attack(
    "update accounts set password_hash = (select password_hash from accounts where name = 'mallory') where name = 'alice'",
  );
  const signIn = createSignIn({ store, clock: Date.now });
  assert.equal((await signIn.signIn('mallory', PASSWORD)).name, 'mallory');
  await assert.rejects(signIn.signIn('alice', PASSWORD), { code: 'ERR_TAMPERED' });
});

eachStore('a queue that was weakened in the database gives nothing', async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const alice = clientOf(t, server, await server.userToken('alice'));
  await alice.setSecret('KEY' as never, 'a value');
  await submit(alice);
  const pilot = await server.pilotToken();
  await attack('update queues set allow_tls_secrets = 1');
  assertTampered(await server.ask(pilot, acquireJobs, { site_name: 'default' }), 'queues');
  await attack('update queues set allow_tls_secrets = 0');
  assert.match((await server.ask(pilot, acquireJobs, { site_name: 'default' })).message, /1 waiting need secrets/);
  for (const change of ["state = 'draining'", 'tls_secrets_since = 1']) {
    await attack(`update queues set ${change}`);
    assertTampered(await server.ask(pilot, acquireJobs, { site_name: 'default' }), 'queues');
    await attack('update queues set state = null, tls_secrets_since = null');
  }
});

eachStore('a join token that was moved to another queue lets nobody in', async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  await server.joinToken('trusted');
  const token = await server.joinToken('default');
  await attack(`update join_tokens set queue = 'trusted' where id = '${token.id}'`);
  const join = await prepareJoin({ url: server.url, vo: 'panda:pilot' }, { token, queue: 'trusted', node: 'n' });
  await assert.rejects(join(), {
    code: 'ERR_UNAVAILABLE',
    message: /HTTP 500: the server's data of this join token was changed, and its operator has to look into it/,
  });
  assert.match(server.logs(), new RegExp(`"joinToken":"${token.id}".*no pilot joins with this token`));
  assert.match(server.logs(), /ERR_DECRYPTION_FAILED/);
  assert.deepEqual(await attack('select id from pilots'), []);
});

eachStore("nothing that the database keeps of logins is one, nor makes another's one", async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const server = await start();
  const { store } = server.installation;
  await addAccount(store, Date.now, 'alice');
  await store.write((tx) => changeAccount(tx, 'alice', { password_hash: PASSWORD_HASH }));
  const post = async (path: string, parameters: Record<string, string>) =>
    (await (
      await fetch(new URL(path, server.url), {
        method: 'POST',
        body: new URLSearchParams({ client_id: 'pbook', ...parameters }),
      })
    ).json()) as Record<string, string>;
  const begin = () => post('/oidc/device', { scope: 'openid profile offline_access' });
  const take = ({ device_code = '' }) =>
    post('/oidc/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code });

  const [hers, his] = [await begin(), await begin()];
  const visitor = createVisitor(server.url);
  await confirmDevice(visitor, hers as never, 'alice');
  const rows = await attack('select * from provider_records');
  const stored = JSON.stringify(rows);
  const secrets = [hers, his].flatMap(({ device_code, user_code }) => [
    device_code,
    user_code,
    user_code?.replace('-', ''),
  ]);
  for (const text of secrets) {
    assert.equal(stored.includes(String(text)), false, `${text} is in the database`);
    const hash = createHash('sha256').update(String(text)).digest('hex');
    assert.equal(stored.includes(hash), false, 'a code is short enough to be guessed from a plain hash');
  }

  const ofHers = rows.find((row) => row['model'] === 'DeviceCode' && row['subject'] !== null);
  assert.ok(ofHers);
  await attack(
    `update provider_records set payload = '${ofHers['payload']}', subject = '${ofHers['subject']}'
      where model = 'DeviceCode' and id_hash <> '${ofHers['id_hash']}'`,
  );
  const stolen = await take(his);
  assert.equal(stolen['id_token'], undefined);
  assert.match(server.logs(), /ERR_TAMPERED/);
  const { id_token } = await take(hers);
  assert.ok(id_token);
});

eachStore('a database whose key was taken away is not given tags anew', async (t, database) => {
  const { attack, start } = await attacked(t, database);
  const first = await start();
  await first.userToken('mallory');
  await first.stop();
  await attack('delete from installation_keys', "update accounts set operator = 1, tag = null where name = 'mallory'");
  await assert.rejects(start(), {
    code: 'ERR_MISCONFIGURED',
    message: /the database has lost its key.*Restore|restore/,
  });
  assert.ok(existsSync(join(database.folder, 'installation.json')));
});
