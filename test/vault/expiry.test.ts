import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { verifyAudit } from '../../src/audit/audit.ts';
import { isoSecond } from '../../src/protocol/expiry.ts';
import { EXPIRED_SECRETS_DAYS } from '../../src/protocol/limits.ts';
import { parseAttributes } from '../../src/protocol/secret-attributes.ts';
import { endSecrets } from '../../src/vault/expiry.ts';
import { eachStore, type TestDatabase, undoneOnce } from '../stores.ts';
import { named, openVault, revealed, valuesOf } from './vaults.ts';

const DAY = 24 * 3600 * 1000;
const START = Date.UTC(2030, 0, 1);
const until = (time: number | 'never') => parseAttributes({ expires: time === 'never' ? 'never' : isoSecond(time) });

/** An owner with TOKEN, which ends ten days after the start, and KEY, which does not; `at` sets the days since then. */
async function ownerWithToken(t: TestContext, database: TestDatabase) {
  let now = START;
  const opened = await openVault(t, database, { clock: () => now, keepExpiredDays: () => EXPIRED_SECRETS_DAYS });
  const { vault } = opened;
  const owner = await opened.newOwner();
  await vault.set(owner, named('TOKEN'), 'short-lived', until(START + 10 * DAY));
  await vault.set(owner, named('KEY'), 'kept');
  const forJob = { secretIds: null, queue: 'Q' };
  return {
    ...opened,
    owner,
    at: (days: number) => {
      now = START + days * DAY;
    },
    given: async () => {
      const forNow = await vault.getForJob(owner, forJob);
      return [valuesOf(forNow), forNow.expiredLeftOut];
    },
    listed: async () => (await vault.list(owner)).secrets.map(({ name, expired }) => [name, expired]),
  };
}

eachStore('jobs get a secret until its end and not from then on; its owner still sees it', async (t, database) => {
  const { vault, owner, at, given, listed } = await ownerWithToken(t, database);
  at(10 - 1 / 86_400);
  assert.deepEqual(await given(), [{ KEY: 'kept', TOKEN: 'short-lived' }, 0]);
  const secretIds = await vault.idsOf(owner, [named('TOKEN')], { queue: 'Q' });
  at(10);
  assert.deepEqual(await given(), [{ KEY: 'kept' }, 1]);
  assert.deepEqual(await listed(), [
    ['KEY', false],
    ['TOKEN', true],
  ]);
  assert.deepEqual(revealed(await vault.get(owner, [named('TOKEN')])), { TOKEN: 'short-lived' });
  await assert.rejects(vault.getForJob(owner, { secretIds, queue: 'Q' }), {
    code: 'ERR_NOT_FOUND',
    message: 'the secret that the task names has expired; give it another end',
  });
  await assert.rejects(vault.idsOf(owner, [named('TOKEN'), named('KEY')], { queue: 'Q' }), {
    code: 'ERR_NOT_FOUND',
    message: /^"TOKEN" expired at 2030-01-11 00:00 UTC: no job gets it any more/,
  });
});

eachStore('an expired secret takes no value without another end, so that none is kept in vain', async (t, database) => {
  const { vault, owner, at, given } = await ownerWithToken(t, database);
  at(11);
  for (const noted of [false, true]) {
    if (noted) await vault.endSecrets();
    await assert.rejects(vault.set(owner, named('TOKEN'), 'new'), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /^the secret expired at 2030-01-11 00:00 UTC: give it another end with the new value/,
    });
    await assert.rejects(vault.restore(owner, named('TOKEN'), 1), { code: 'ERR_INVALID_ARGUMENT' });
  }
  await assert.rejects(vault.set(owner, named('TOKEN'), 'new', until(START)), {
    message: 'expires: 2030-01-01 00:00 UTC is over: name a time that is to come, or "never"',
  });
  await vault.set(owner, named('TOKEN'), 'new', until(START + 12 * DAY));
  assert.deepEqual(await given(), [{ KEY: 'kept', TOKEN: 'new' }, 0]);
  await vault.set(owner, named('TOKEN'), 'newer');
  at(12);
  assert.deepEqual(await given(), [{ KEY: 'kept' }, 1]);
  await vault.set(owner, named('TOKEN'), 'newest', until('never'));
  at(4000);
  assert.deepEqual(await given(), [{ KEY: 'kept', TOKEN: 'newest' }, 0]);
});

eachStore('an end that came stays when the clock is set back, also for another server', async (t, database) => {
  const { vault, owner, at, given, anotherServer } = await ownerWithToken(t, database);
  const other = await anotherServer();
  assert.equal((await other.getForJob(owner, { secretIds: null, queue: 'Q' })).secrets.length, 2);
  at(10);
  assert.deepEqual(await vault.endSecrets(), { ended: 1, removed: 0 });
  at(5);
  assert.deepEqual(await given(), [{ KEY: 'kept' }, 1]);
  assert.equal((await other.getForJob(owner, { secretIds: null, queue: 'Q' })).expiredLeftOut, 1);
  await assert.rejects(vault.set(owner, named('TOKEN'), 'new'), { code: 'ERR_INVALID_ARGUMENT' });
  await vault.set(owner, named('TOKEN'), 'new', until(START + 20 * DAY));
  assert.deepEqual(await given(), [{ KEY: 'kept', TOKEN: 'new' }, 0]);
});

eachStore('an expired secret is removed later, by the time since its end was noted', async (t, database) => {
  const { vault, owner, at, listed, store } = await ownerWithToken(t, database);
  // The clock is years ahead for a moment, and nothing is lost but the delivery.
  at(4000);
  assert.deepEqual(await vault.endSecrets(), { ended: 1, removed: 0 });
  at(1);
  await vault.set(owner, named('TOKEN'), 'again', until(START + 10 * DAY));
  at(10);
  assert.deepEqual(await vault.endSecrets(), { ended: 1, removed: 0 });
  at(10 + EXPIRED_SECRETS_DAYS);
  assert.deepEqual(await vault.endSecrets(), { ended: 0, removed: 0 });
  at(10.01 + EXPIRED_SECRETS_DAYS);
  assert.deepEqual(await vault.endSecrets(), { ended: 0, removed: 1 });
  assert.deepEqual(await listed(), [['KEY', false]]);
  const versions = await store.db.selectFrom('secret_versions').select('version').execute();
  assert.equal(versions.length, 1);
  const acts = await store.db.selectFrom('audit').select(['actor', 'action', 'detail']).orderBy('seq').execute();
  assert.deepEqual(
    acts.filter(({ actor }) => actor === 'server').map(({ action }) => action),
    ['secret.expire', 'secret.expire', 'secret.delete'],
  );
  assert.match(acts.at(-1)?.detail ?? '', /"expired":true/);
  assert.equal((await verifyAudit(store, owner)).whole, true);
});

eachStore('an end counts once where a write is run a second time', async (t, database) => {
  const { store, owner } = await ownerWithToken(t, database);
  const changing = { store: undoneOnce(store), clock: () => START + 4000 * DAY };
  assert.deepEqual(await endSecrets(changing, undefined), { ended: 1, removed: 0 });
  const later = { ...changing, clock: () => START + 5000 * DAY };
  assert.deepEqual(await endSecrets(later, EXPIRED_SECRETS_DAYS), { ended: 0, removed: 1 });
  assert.equal((await verifyAudit(store, owner)).whole, true);
});

eachStore('nobody who writes the database can put off the end of a secret', async (t, database) => {
  const { owner, store, vault } = await ownerWithToken(t, database);
  const put = async (expires: string | null) => {
    await store.write((tx) => tx.updateTable('secrets').set({ expires }).where('expires', 'is not', null).execute());
    await store.write((tx) =>
      tx
        .updateTable('owners')
        .set((eb) => ({ revision: eb('revision', '+', 1) }))
        .execute(),
    );
  };
  for (const expires of ['2040-01-01T00:00:00Z', null]) {
    await put(expires);
    await assert.rejects(vault.getForJob(owner, { secretIds: null, queue: 'Q' }), { code: 'ERR_DECRYPTION_FAILED' });
    await assert.rejects(vault.set(owner, named('TOKEN'), 'new', until('never')), { code: 'ERR_DECRYPTION_FAILED' });
  }
});

eachStore("an earlier version has the secret's end as well", async (t, database) => {
  const { vault, owner, at, given } = await ownerWithToken(t, database);
  await vault.set(owner, named('KEY'), 'second', until(START + DAY));
  await vault.restore(owner, named('KEY'), 1);
  assert.deepEqual(await given(), [{ KEY: 'kept', TOKEN: 'short-lived' }, 0]);
  at(1);
  assert.deepEqual(await given(), [{ TOKEN: 'short-lived' }, 1]);
});
