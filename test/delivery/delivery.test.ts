import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { verifyAudit } from '../../src/audit/audit.ts';
import type { DeliveredJob, SecretsForPilot } from '../../src/delivery/deliver.ts';
import { createDelivery } from '../../src/delivery/delivery.ts';
import type { Offer } from '../../src/delivery/offer.ts';
import type { RoomEvent } from '../../src/events/events.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import type { SealedSecrets } from '../../src/protocol/calls/pilot.ts';
import { isoSecond } from '../../src/protocol/expiry.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { EXPIRY_WARNING_SECONDS } from '../../src/protocol/limits.ts';
import type { Kem } from '../../src/protocol/sealed.ts';
import { parseAttributes } from '../../src/protocol/secret-attributes.ts';
import { newRecipient, type Recipient } from '../../src/sealing/delivery.ts';
import { insertQueue } from '../../src/store/queues.ts';
import { eachStore, sqliteDatabase, type TestDatabase } from '../stores.ts';
import { named, openVault } from '../vault/vaults.ts';

const OPEN = { state: null, tls_secrets_since: null };

const pilot = { pilotId: 'pilot:GRID:1', queue: 'GRID', node: 'node-1' };

/** An owner with secrets A and B, and a job of theirs that a pilot holds. */
async function ownerWithJob(t: TestContext, database: TestDatabase) {
  let now = Date.UTC(2030, 0, 1);
  const clock = () => now++;
  const events: RoomEvent[] = [];
  const opened = await openVault(t, database, { clock });
  const { vault, store } = opened;
  const owner = await opened.newOwner();
  await vault.set(owner, named('A'), 'a');
  await vault.set(owner, named('B', 'file'), 'Qg==');
  const job: DeliveredJob = { jobId: 7, taskId: 10_000_000, attempt: 1, ownerId: owner, secretIds: null };
  return {
    ...opened,
    owner,
    job,
    events,
    later: (time: number) => {
      now = time;
    },
    delivery: createDelivery({
      store,
      vault,
      clock,
      jobs: createJobs({ store, clock }),
      tell: (event) => events.push(event),
    }),
  };
}

const proven = (keys: Offer['keys']): Offer => ({ keys, proven: true });

const contextOf = (job: DeliveredJob) => ({
  jobId: job.jobId,
  attempt: job.attempt,
  ownerId: job.ownerId as string,
  pilotId: pilot.pilotId,
});

function sealed(delivered: SecretsForPilot | undefined): SealedSecrets {
  assert.ok(delivered && 'sealedSecrets' in delivered);
  return delivered.sealedSecrets;
}

async function opened(recipient: Recipient, delivered: SecretsForPilot | undefined, job: DeliveredJob) {
  return Buffer.from(await recipient.open(sealed(delivered), contextOf(job))).toString('utf8');
}

eachStore("a job's secrets open with the key that its pilot made for the request", async (t, database) => {
  const { delivery, job } = await ownerWithJob(t, database);
  for (const kem of ['MLKEM768-X25519', 'X25519'] satisfies Kem[]) {
    const recipient = await newRecipient([kem]);
    const delivered = await delivery.deliver(job, pilot, proven(recipient.offers));
    assert.equal(await opened(recipient, delivered, job), '{"A":"a","___file___:B":"Qg=="}');
  }
});

test('a job is told of a secret that expires soon from a week before, and gets it until its end', async (t) => {
  const { delivery, vault, owner, job, later } = await ownerWithJob(t, sqliteDatabase(t));
  const end = Date.UTC(2030, 0, 15);
  await vault.set(owner, named('B', 'file'), 'Qg==', parseAttributes({ expires: isoSecond(end) }));
  const recipient = await newRecipient();
  const at = async (time: number) => {
    later(time);
    const delivered = await delivery.deliver(job, pilot, proven(recipient.offers));
    const names = Object.keys(JSON.parse(await opened(recipient, delivered, job)));
    return [names, delivered?.secretsExpiring, delivered?.secretsExpired];
  };
  const expiring = [{ place: 1, expires: isoSecond(end) }];
  const warned = end - EXPIRY_WARNING_SECONDS * 1000;
  // What the second one got is remembered.
  for (let times = 0; times < 3; times++) {
    assert.deepEqual(await at(warned - 1000), [['A', '___file___:B'], undefined, undefined]);
  }
  for (const time of [warned, end - 1000])
    assert.deepEqual(await at(time), [['A', '___file___:B'], expiring, undefined]);
  assert.deepEqual(await at(end), [['A'], undefined, 1]);
});

eachStore('a job that asked for one secret gets that one, in its current version', async (t, database) => {
  const { delivery, vault, owner, job } = await ownerWithJob(t, database);
  const secretIds = await vault.idsOf(owner, [named('A')]);
  await vault.set(owner, named('A'), 'changed');
  const recipient = await newRecipient();
  const chosen = { ...job, secretIds };
  assert.equal(
    await opened(recipient, await delivery.deliver(chosen, pilot, proven(recipient.offers)), chosen),
    '{"A":"changed"}',
  );
});

eachStore(
  'a job that names a secret which was deleted gets an error that says which, and no other secret',
  async (t, database) => {
    const { delivery, vault, owner, job } = await ownerWithJob(t, database);
    const secretIds = await vault.idsOf(owner, [named('A'), named('B', 'file')]);
    await vault.delete(owner, named('A'));
    const { offers } = await newRecipient();
    await assert.rejects(delivery.deliver({ ...job, secretIds }, pilot, proven(offers)), {
      code: 'ERR_NOT_FOUND',
      message: /of the 2 secrets that the task names, number 1 was deleted/,
    });
    assert.deepEqual(await delivery.history(owner), []);
  },
);

eachStore(
  'a secret is delivered to the queues that its owner trusts alone, and a job is told how many are not',
  async (t, database) => {
    const { delivery, vault, owner, job } = await ownerWithJob(t, database);
    await vault.set(owner, named('A'), 'for few', parseAttributes({ queues: ['SAFE'] }));
    const recipient = await newRecipient();
    const safe = await delivery.deliver(job, { ...pilot, queue: 'SAFE' }, proven(recipient.offers));
    assert.equal(await opened(recipient, safe, job), '{"A":"for few","___file___:B":"Qg=="}');
    assert.equal(safe?.secretsLeftOut, undefined);

    const other = await delivery.deliver(job, pilot, proven(recipient.offers));
    assert.equal(await opened(recipient, other, job), '{"___file___:B":"Qg=="}');
    assert.equal(other?.secretsLeftOut, 1);
    const history = await delivery.history(owner);
    assert.deepEqual(history.map(({ queue, secrets }) => [queue, secrets.length]).sort(), [
      ['GRID', 1],
      ['SAFE', 2],
    ]);
  },
);

eachStore('a job that names a secret which was restricted meanwhile gets nothing elsewhere', async (t, database) => {
  const { delivery, vault, owner, job } = await ownerWithJob(t, database);
  const secretIds = await vault.idsOf(owner, [named('A')], { queue: 'GRID' });
  await vault.set(owner, named('A'), 'for few', parseAttributes({ queues: ['SAFE'] }));
  const recipient = await newRecipient();
  const { offers } = recipient;
  await assert.rejects(delivery.deliver({ ...job, secretIds }, pilot, proven(offers)), {
    code: 'ERR_FORBIDDEN',
    message: 'the secret that the task names was restricted to other queues than GRID',
  });
  await vault.delete(owner, named('B', 'file'));
  const delivered = await delivery.deliver(job, pilot, proven(offers));
  assert.deepEqual([await opened(recipient, delivered, job), delivered.secretsLeftOut], ['{}', 1]);
  assert.deepEqual(await delivery.history(owner), []);
});

eachStore('where there are no secrets the job finds an empty object, and nothing is recorded', async (t, database) => {
  const { delivery, vault, newOwner, owner, job } = await ownerWithJob(t, database);
  const recipient = await newRecipient();
  const offer = proven(recipient.offers);
  const ofOther = { ...job, ownerId: await newOwner() };
  assert.equal(await opened(recipient, await delivery.deliver(ofOther, pilot, offer), ofOther), '{}');
  assert.deepEqual(await delivery.deliver(ofOther, pilot, undefined), { secrets: '{}' }, 'to any pilot of any queue');
  const ofNone = { ...job, secretIds: [] };
  assert.equal(await opened(recipient, await delivery.deliver(ofNone, pilot, offer), ofNone), '{}');
  await vault.deleteAll(owner);
  assert.equal(await opened(recipient, await delivery.deliver(job, pilot, offer), job), '{}');
  assert.deepEqual([...(await delivery.history(owner)), ...(await delivery.history(ofOther.ownerId))], []);
});

test('what was sealed for one attempt opens for no other attempt, job, owner or pilot, and with no other key', async (t) => {
  const { delivery, newOwner, job } = await ownerWithJob(t, sqliteDatabase(t));
  const [recipient, another] = [await newRecipient(), await newRecipient()];
  const envelope = sealed(await delivery.deliver(job, pilot, proven(recipient.offers)));
  const context = contextOf(job);
  const refused = { code: 'ERR_DECRYPTION_FAILED' };
  await assert.rejects(recipient.open(envelope, { ...context, attempt: 2 }), refused);
  await assert.rejects(recipient.open(envelope, { ...context, jobId: 8 }), refused);
  await assert.rejects(recipient.open(envelope, { ...context, ownerId: await newOwner() }), refused);
  await assert.rejects(recipient.open(envelope, { ...context, pilotId: 'pilot:GRID:2' }), refused);
  await assert.rejects(another.open(envelope, context), refused);
  await recipient.open(envelope, context);
});

eachStore('a pilot that offers no key gets secrets only where its queue allows TLS alone', async (t, database) => {
  const { delivery, store, owner, job } = await ownerWithJob(t, database);
  const refused = { code: 'ERR_FORBIDDEN', message: /queue "GRID".*public key/ };
  await assert.rejects(delivery.deliver(job, pilot, undefined), refused);
  const queue = (name: string, allow_tls_secrets: number) => ({ name, allow_tls_secrets, created_at: 0, ...OPEN });
  for (const one of [queue('GRID', 0), queue('OLD', 1)]) await store.write((tx) => insertQueue(tx, one));
  await assert.rejects(delivery.deliver(job, pilot, undefined), refused);
  await assert.rejects(delivery.deliver({ ...job, secretIds: ['x'] }, pilot, undefined), refused);
  assert.deepEqual(await delivery.history(owner), []);

  const delivered = await delivery.deliver(job, { ...pilot, queue: 'OLD' }, undefined);
  assert.deepEqual(delivered, { secrets: '{"A":"a","___file___:B":"Qg=="}' });
  assert.deepEqual((await delivery.history(owner))[0]?.sealed_with, 'tls');
});

eachStore("a key that nothing proves to be the pilot's gets secrets only where TLS alone does", async (t, database) => {
  const { delivery, store, owner, job } = await ownerWithJob(t, database);
  const recipient = await newRecipient();
  const unproven = { keys: recipient.offers, proven: false };
  const refused = { code: 'ERR_FORBIDDEN', message: /queue "GRID".*proves to be its own/ };
  await assert.rejects(delivery.deliver(job, pilot, unproven), refused);
  assert.deepEqual(await delivery.history(owner), []);

  const queue = { name: 'GRID', allow_tls_secrets: 1, created_at: 0, ...OPEN };
  await store.write((tx) => insertQueue(tx, queue));
  const delivered = await delivery.deliver(job, pilot, unproven);
  assert.equal(await opened(recipient, delivered, job), '{"A":"a","___file___:B":"Qg=="}');
});

test('keys that cannot be used are refused, and never answered with secrets in the clear', async (t) => {
  const { delivery, store, owner, job } = await ownerWithJob(t, sqliteDatabase(t));
  const queue = { name: 'GRID', allow_tls_secrets: 1, created_at: 0, ...OPEN };
  await store.write((tx) => insertQueue(tx, queue));
  for (const offers of [[], [{ kem: 'X25519' as const, public_key: 'AAAA' }]]) {
    await assert.rejects(delivery.deliver(job, pilot, proven(offers)), { code: 'ERR_INVALID_ARGUMENT' });
  }
  assert.deepEqual(await delivery.history(owner), []);
});

test('a secret that does not open stops the delivery of all of them', async (t) => {
  const { delivery, store, owner, job } = await ownerWithJob(t, sqliteDatabase(t));
  await store.write((tx) => tx.updateTable('secret_versions').set({ version: 2 }).where('size', '=', 1).execute());
  await store.write((tx) => tx.updateTable('secrets').set({ current_version: 2 }).where('size', '=', 1).execute());
  const { offers } = await newRecipient();
  await assert.rejects(delivery.deliver(job, pilot, proven(offers)), { code: 'ERR_DECRYPTION_FAILED' });
  assert.deepEqual(await delivery.history(owner), []);
});

test('the JSON has every name, whatever it means to JavaScript', async (t) => {
  const { delivery, vault, owner, job } = await ownerWithJob(t, sqliteDatabase(t));
  await vault.deleteAll(owner);
  const names = ['"quoted"', '10', '2', '__proto__', 'a b', 'toJSON', '\\', '😀'];
  for (const name of names) await vault.set(owner, named(name), `"${name}"\n`);
  const recipient = await newRecipient(['X25519']);
  const text = await opened(recipient, await delivery.deliver(job, pilot, proven(recipient.offers)), job);
  const parsed = JSON.parse(text);
  assert.deepEqual(Object.keys(parsed).sort(), [...names].sort());
  for (const name of names) assert.equal(Object.getOwnPropertyDescriptor(parsed, name)?.value, `"${name}"\n`);
});

eachStore("the history says which versions went where, newest first, with the owner's names", async (t, database) => {
  const { delivery, vault, owner, job } = await ownerWithJob(t, database);
  const recipient = await newRecipient(['X25519']);
  await delivery.deliver(job, pilot, proven(recipient.offers));
  await vault.set(owner, named('A'), 'new');
  const second = { ...job, attempt: 2, secretIds: await vault.idsOf(owner, [named('A')]) };
  await delivery.deliver(second, { ...pilot, node: 'node-2' }, proven(recipient.offers));

  const common = { task_id: 10_000_000, job_id: 7, pilot: pilot.pilotId, queue: 'GRID', sealed_with: 'X25519' };
  const history = (await delivery.history(owner)).map(({ at, ...rest }) => {
    assert.match(at, /^2030-01-01T00:00:00\.\d{3}Z$/);
    return rest;
  });
  const both = [
    { name: 'A', version: 1 },
    { name: '___file___:B', version: 1 },
  ];
  assert.deepEqual(history, [
    { ...common, attempt: 2, node: 'node-2', secrets: [{ name: 'A', version: 2 }] },
    { ...common, attempt: 1, node: 'node-1', secrets: both },
  ]);

  assert.equal((await delivery.history(owner, { limit: 1 })).length, 1);
  const ofFile = await delivery.history(owner, { name: named('B', 'file') });
  assert.deepEqual(
    ofFile.map(({ attempt, secrets }) => [attempt, secrets]),
    [[1, [{ name: '___file___:B', version: 1 }]]],
  );
  await assert.rejects(delivery.history(owner, { name: named('nowhere') }), { code: 'ERR_NOT_FOUND' });

  await vault.deleteAll(owner);
  const afterwards = await delivery.history(owner);
  assert.deepEqual(afterwards[0]?.secrets, [{ name: null, version: 2 }]);
});

eachStore(
  "one owner's history tells another nothing, and each delivery is in the owner's audit",
  async (t, database) => {
    const { delivery, newOwner, owner, job, store } = await ownerWithJob(t, database);
    const recipient = await newRecipient(['X25519']);
    await Promise.all(
      [1, 2, 3].map((attempt) => delivery.deliver({ ...job, attempt }, pilot, proven(recipient.offers))),
    );
    assert.deepEqual(await delivery.history(await newOwner()), []);
    assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 2 + 3 });
    const rows = await store.db.selectFrom('audit').selectAll().where('action', '=', 'secret.deliver').execute();
    assert.deepEqual(
      rows.map(({ actor }) => actor),
      Array(3).fill('pilot:pilot:GRID:1'),
    );
    const details = rows.map(({ detail }) => JSON.parse(detail));
    assert.deepEqual(details.map(({ attempt }) => attempt).sort(), [1, 2, 3]);
    assert.equal(details[0].secrets.length, 2);
  },
);

test('a delivery leaves no name and no value in the files of the database', async (t) => {
  const database = sqliteDatabase(t);
  const { delivery, vault, owner, store, job } = await ownerWithJob(t, database);
  await vault.set(owner as OwnerId, named('MY_UNUSUAL_NAME'), 'a-most-unusual-value');
  await store.write((tx) => insertQueue(tx, { name: 'GRID', allow_tls_secrets: 1, created_at: 0, ...OPEN }));
  await delivery.deliver(job, pilot, proven((await newRecipient()).offers));
  await delivery.deliver(job, pilot, undefined);
  for (const file of readdirSync(database.folder)) {
    const bytes = readFileSync(join(database.folder, file));
    for (const text of ['MY_UNUSUAL_NAME', 'a-most-unusual-value']) {
      for (const encoding of ['utf8', 'base64', 'hex'] as const)
        assert.equal(bytes.includes(Buffer.from(text).toString(encoding)), false, `${text} is in ${file}`);
    }
  }
});

test('a delivery is told by its numbers, without a name, a value or an owner, and one that fails is not', async (t) => {
  const { delivery, job, owner, events } = await ownerWithJob(t, sqliteDatabase(t));
  await assert.rejects(delivery.deliver(job, pilot, undefined));
  assert.deepEqual(events, []);
  await delivery.deliver(job, pilot, proven((await newRecipient(['X25519'])).offers));
  assert.deepEqual(events, [
    { event: 'secrets.delivered', jobId: 7, attempt: 1, queue: 'GRID', secrets: 2, sealedWith: 'X25519' },
  ]);
  assert.ok(!JSON.stringify(events).includes(owner));
});
