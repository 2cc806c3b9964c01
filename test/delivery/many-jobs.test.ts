import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { verifyAudit } from '../../src/audit/audit.ts';
import { createDelivery } from '../../src/delivery/delivery.ts';
import type { GivenJob } from '../../src/delivery/give-jobs.ts';
import type { RoomEvent } from '../../src/events/events.ts';
import { createJobs, type Submission } from '../../src/jobs/jobs.ts';
import { addQueue } from '../../src/jobs/queues.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_UNDELIVERABLE_PER_REQUEST } from '../../src/protocol/limits.ts';
import { parseAttributes } from '../../src/protocol/secret-attributes.ts';
import { newRecipient, type Recipient } from '../../src/sealing/delivery.ts';
import type { Store } from '../../src/store/store.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { submission } from '../jobs/farm.ts';
import { seenStatements } from '../seen-statements.ts';
import { eachStore, onPostgres, type TestDatabase } from '../stores.ts';
import { named, openVault, sealedText } from '../vault/vaults.ts';

const PILOT = { pilotId: 'pilot:GRID:1', queues: ['GRID'] };

/** Two owners with secrets of their own, and a server that gives their jobs out. */
async function openSite(t: TestContext, database: TestDatabase, change = (vault: Vault) => vault) {
  const opened = await openVault(t, database);
  const { vault, clock } = opened;
  let transactions = 0;
  const counted = <W extends Store['write']>(write: W) =>
    ((work) => {
      transactions += 1;
      return write(work);
    }) as Store['write'];
  const store = { ...opened.store, write: counted(opened.store.write), grow: counted(opened.store.grow) };
  const events: RoomEvent[] = [];
  const tell = (event: RoomEvent) => events.push(event);
  const jobs = createJobs({ store, clock, tell });
  await addQueue(store, clock, 'GRID');
  const [alice, bob] = [await opened.newOwner(), await opened.newOwner()];
  await vault.set(alice, named('OF_ALICE'), 'a');
  await vault.set(bob, named('OF_BOB'), 'b');
  const delivery = createDelivery({ store, vault: change(vault), jobs, clock, tell });
  let tasks = 0;
  return {
    ...opened,
    alice,
    bob,
    jobs,
    delivery,
    events,
    submit: async (owner: OwnerId, wanted: Partial<Submission> = {}) =>
      (await jobs.submit(owner, { ...submission(`user.any.task${++tasks}`), useSecrets: true, ...wanted })).taskId,
    async give(recipient: Recipient, count: number, { sealed = false } = {}): Promise<GivenJob[]> {
      const offer = { keys: recipient.offers, proven: true };
      const given = await delivery.giveJobs(PILOT, { queue: 'GRID', node: 'node', count, offer, sealed });
      return 'jobs' in given ? given.jobs : [];
    },
    async transactionsOf(work: () => Promise<unknown>): Promise<number> {
      const before = transactions;
      await work();
      return transactions - before;
    },
    statesOf: async (owner: OwnerId, task: number) =>
      (await jobs.jobsOf(owner, task)).map(({ state, attempt }) => `${state} ${attempt}`),
  };
}

async function opened(recipient: Recipient, { job, secrets }: GivenJob): Promise<string> {
  assert.ok(secrets?.sealedSecrets);
  const { jobId, attempt, ownerId } = job;
  const context = { jobId, attempt, ownerId, pilotId: PILOT.pilotId };
  return Buffer.from(await recipient.open(secrets.sealedSecrets, context)).toString();
}

eachStore(
  'many jobs of several owners are given in two transactions, each with its own secrets',
  async (t, database) => {
    const site = await openSite(t, database);
    await site.submit(site.alice, { jobCount: 7 });
    await site.submit(site.alice, { jobCount: 2, useSecrets: false });
    await site.submit(site.alice, { jobCount: 3, secretIds: await site.vault.idsOf(site.alice, [named('OF_ALICE')]) });
    await site.submit(site.bob, { jobCount: 8 });
    const recipient = await newRecipient();
    let given: GivenJob[] = [];
    const transactions = await site.transactionsOf(async () => {
      given = await site.give(recipient, 20);
    });
    assert.equal(transactions, 2);
    assert.equal(given.length, 20);
    for (const one of given) {
      if (!one.job.usesSecrets) assert.equal(one.secrets, undefined);
      else
        assert.equal(
          await opened(recipient, one),
          one.job.ownerId === site.alice ? '{"OF_ALICE":"a"}' : '{"OF_BOB":"b"}',
        );
    }

    for (const [owner, count] of [
      [site.alice, 10],
      [site.bob, 8],
    ] as const) {
      const history = await site.delivery.history(owner);
      const own = given.filter(({ job }) => job.ownerId === owner && job.usesSecrets);
      assert.deepEqual(history.map(({ job_id }) => job_id).sort(), own.map(({ job }) => job.jobId).sort());
      assert.ok(history.every(({ secrets }) => secrets.length === 1));
      assert.deepEqual(await verifyAudit(site.store, owner), { whole: true, entries: 1 + count });
    }
    assert.equal(site.events.filter(({ event }) => event === 'secrets.delivered').length, 18);
  },
);

eachStore("jobs of one owner that are given together get what each asked for, and no other's", async (t, database) => {
  const site = await openSite(t, database);
  const text = sealedText('one');
  await site.vault.set(site.alice, named('OTHER'), 'o');
  await site.vault.set(site.alice, named('SEALED'), text);
  const idsOf = (name: string) => site.vault.idsOf(site.alice, [named(name)]);
  const wanted: [Partial<Submission>, Record<string, string>][] = [
    [{}, { OF_ALICE: 'a', OTHER: 'o' }],
    [{ secretIds: await idsOf('OF_ALICE') }, { OF_ALICE: 'a' }],
    [{ secretIds: await idsOf('OTHER') }, { OTHER: 'o' }],
    [{ secretIds: await idsOf('SEALED'), sealed: true }, { SEALED: text }],
    [{ secretIds: await idsOf('SEALED') }, {}],
  ];
  const expected = new Map<number, Record<string, string>>();
  for (const [one, secrets] of wanted) expected.set(await site.submit(site.alice, { ...one, jobCount: 2 }), secrets);
  await site.jobs.grant(site.alice, [...expected.keys()][3] ?? 0, 'a.b');
  const recipient = await newRecipient();
  const given = await site.give(recipient, 20, { sealed: true });
  assert.equal(given.length, 10);
  for (const one of given) {
    assert.deepEqual(JSON.parse(await opened(recipient, one)), expected.get(one.job.taskId));
  }
});

eachStore('the text of secrets that were given is wiped', async (t, database) => {
  const texts: Buffer[] = [];
  const site = await openSite(t, database, (vault) => ({
    ...vault,
    async getForJob(...args) {
      const given = await vault.getForJob(...args);
      texts.push(given.text);
      return given;
    },
  }));
  await site.submit(site.alice, { jobCount: 3 });
  await site.submit(site.bob);
  const recipient = await newRecipient();
  assert.equal((await site.give(recipient, 5)).length, 4);
  assert.deepEqual(
    texts.map((text) => text.every((byte) => byte === 0)),
    [true, true],
    'one for each owner',
  );
});

onPostgres('deliveries lock their owners in the order of the ids, as everything does', async (t, database) => {
  const site = await openSite(t, database);
  const owners = [site.alice, site.bob].sort();
  for (const owner of owners.toReversed()) await site.submit(owner);
  const seen = seenStatements(t);
  assert.equal((await site.give(await newRecipient(), 2)).length, 2);
  const locks = seen.filter(({ sql }) => /^update "owners".* returning "audit_seq"/.test(sql));
  assert.deepEqual(
    locks.map(({ values }) => values[0]),
    owners,
  );
});

eachStore("jobs whose secrets are gone fail with the reason, and no other owner's with them", async (t, database) => {
  const site = await openSite(t, database);
  const secretIds = await site.vault.idsOf(site.bob, [named('OF_BOB')]);
  const bad = await site.submit(site.bob, { jobCount: 15, secretIds });
  await site.vault.delete(site.bob, named('OF_BOB'));
  const good = await site.submit(site.alice, { jobCount: 5 });
  const other = await site.submit(site.bob);
  const recipient = await newRecipient();
  const given = await site.give(recipient, 20);
  assert.deepEqual(given.map(({ job }) => job.taskId).sort(), [good, good, good, good, good, other]);
  const states = await site.statesOf(site.bob, bad);
  assert.deepEqual(states.sort(), [...Array(14).fill('failed 0'), 'failed 1']);
  const told = await site.jobs.getTask(site.bob, bad);
  assert.match(told.diagnosis, /its secrets could not be delivered: the secret that the task names was deleted/);
});

eachStore(
  'of jobs that fail but may do better elsewhere one request takes a few, and the others wait',
  async (t, database) => {
    const site = await openSite(t, database);
    await site.vault.set(site.bob, named('OF_BOB'), 'b', parseAttributes({ queues: ['SAFE'] }));
    const secretIds = await site.vault.idsOf(site.bob, [named('OF_BOB')]);
    const bad = await site.submit(site.bob, { jobCount: 30, secretIds, maxAttempts: 2 });
    const recipient = await newRecipient();
    assert.deepEqual(await site.give(recipient, 30), []);
    const tried = MAX_UNDELIVERABLE_PER_REQUEST;
    const states = await site.statesOf(site.bob, bad);
    assert.deepEqual(states.sort(), [...Array(30 - tried).fill('activated 0'), ...Array(tried).fill('activated 1')]);

    await site.vault.set(site.bob, named('OF_BOB'), 'b', parseAttributes({ queues: ['SAFE', 'GRID'] }));
    const given = await site.give(recipient, 40);
    assert.equal(given.length, 30, 'they wait as before');
    assert.deepEqual(given.map(({ job }) => job.attempt).sort(), [
      ...Array(30 - tried).fill(1),
      ...Array(tried).fill(2),
    ]);
  },
);

eachStore("one owner's deliveries that cannot be recorded hold up no other's", async (t, database) => {
  const ofBob: string[] = [];
  const site = await openSite(t, database, (vault) => ({
    ...vault,
    useOf: (ids) => ({
      ...vault.useOf(ids),
      note: async () => {
        if (ids.some((id) => ofBob.includes(id))) throw new Error('a fault of the disk, say');
      },
    }),
  }));
  ofBob.push(...(await site.vault.idsOf(site.bob, [named('OF_BOB')])));
  const good = await site.submit(site.alice, { jobCount: 3 });
  const bad = await site.submit(site.bob, { jobCount: 2, maxAttempts: 1 });
  const recipient = await newRecipient();
  const given = await site.give(recipient, 5);
  assert.deepEqual(
    given.map(({ job }) => job.taskId),
    [good, good, good],
  );
  assert.deepEqual(await site.statesOf(site.bob, bad), ['failed 1', 'failed 1']);
  assert.deepEqual(await site.delivery.history(site.bob), []);
  assert.deepEqual(await verifyAudit(site.store, site.bob), { whole: true, entries: 1 });
  assert.equal((await site.delivery.history(site.alice)).length, 3);
  const undeliverable = site.events.filter(({ event }) => event === 'secrets.undeliverable');
  assert.equal(undeliverable.length, 2);
});
