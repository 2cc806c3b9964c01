import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { checkedResults } from '../../src/sealed/checked-results.ts';
import { type Grant, type GrantContent, makeGrant, readGrant } from '../../src/sealed/grant.ts';
import { type GrantedTask, knownBy, type SeenAttempt } from '../../src/sealed/granted-tasks.ts';
import { makeResult, type Result } from '../../src/sealed/result.ts';
import { resultCheck, type WantedResult } from '../../src/sealed/result-check.ts';
import type { Signer } from '../../src/sealed/signed.ts';
import { makeSiteRecord, type SiteRecord } from '../../src/sealed/site-record.ts';
import type { TrustedSites } from '../../src/sealed/trusted-sites.ts';
import type { UserKeys } from '../../src/sealed/user-root.ts';
import { grantOf, NOW, recordOf, siteNumber, userNumber } from './samples.ts';

const user = await userNumber(1);
const site = await siteNumber(1);
const other = await siteNumber(2);
const third = await siteNumber(3);
const grant = readGrant(grantOf(user, [site.read.identity], { end: NOW + 3600 }));
const LOG = 'user.al.log.10000001.000002.log.tgz';

/** A check of one task, by a device that trusts two sites and signed for the first. */
function checkBy({
  task = { ...knownBy(grant, NOW), isWhole: true },
  record = {},
  shown = null,
  shownGrant,
}: {
  task?: GrantedTask;
  record?: Partial<SiteRecord>;
  shown?: string | null;
  shownGrant?: Grant;
} = {}) {
  const recordAs = (change: Partial<SiteRecord>) =>
    makeSiteRecord(site.identity, recordOf(site.identity, site.node, change));
  const trusted = [
    { queue: 'GRID_A', id: site.read.identity, records: [recordAs(record)] },
    { queue: 'GRID_B', id: other.read.identity, records: [other.record] },
  ];
  const asked: string[] = [];
  const sites = { list: async () => trusted, trust: async () => site.read } as unknown as TrustedSites;
  const client = {
    getSiteRecord: async (queue: string) => {
      asked.push(queue);
      return shown;
    },
  };
  const learned: Grant[] = [];
  const learn = async (one: Grant) => void learned.push(one);
  const options = { sites, shownGrant: async () => shownGrant, learn, now: NOW };
  const checks = resultCheck(client, task, options);
  const check = (
    change: Partial<Result> = {},
    {
      signer = site.node.resultSigner,
      attempt = 1,
      isLatest = true,
      ...wanted
    }: Partial<WantedResult> & { signer?: Signer } = {},
  ) => {
    const result: Result = {
      nonce: grant.nonce,
      serial: 2,
      attempt: 1,
      kind: 'log',
      name: LOG,
      seq: 0,
      last: true,
      sha256: 'ab'.repeat(32),
      ...change,
    };
    const word = makeResult(signer, result);
    return checks.check(word, { serial: 2, kind: 'log', name: LOG, attempt, isLatest, ...wanted });
  };
  return { check, checks, asked, learned };
}

const refused = (code: string) => ({ name: 'SealedRefusal', code });

test('a result is taken that a node of the site signed for that job under that grant, and nothing is asked for it', async () => {
  const { check, asked } = checkBy();
  assert.equal((await check()).serial, 2);
  assert.deepEqual(asked, []);
});

test('a key of the site counts if its record was valid while the grant was', async () => {
  const hour = 3600;
  for (const record of [
    { from: NOW - 9 * hour, end: NOW }, // It had ended when the task was signed for.
    { from: NOW + hour, end: NOW + 9 * hour }, // It came when the grant had ended.
  ]) {
    const { check, asked } = checkBy({ record });
    await assert.rejects(check(), refused('result-forged'));
    assert.deepEqual(asked, ['GRID_A'], 'the server is asked for the record of the site of the grant alone');
  }
  for (const record of [
    { from: NOW - 9 * hour, end: NOW + 1 },
    { from: NOW + hour - 1, end: NOW + 9 * hour },
  ]) {
    await checkBy({ record }).check();
  }
});

test('a site that is trusted signs nothing for a task that was not for it, whatever the server shows', async () => {
  const byOther = { signer: other.node.resultSigner };
  await assert.rejects(checkBy().check({}, byOther), refused('result-forged'));
  await assert.rejects(checkBy({ shown: other.record }).check({}, byOther), refused('result-forged'));
  const posing = makeSiteRecord(other.identity, recordOf(other.identity, other.node, { queue: 'GRID_A' }));
  await assert.rejects(checkBy({ shown: posing }).check({}, byOther), refused('result-forged'));
  await assert.rejects(checkBy({ shown: 'no record' }).check({}, byOther), refused('result-forged'));
});

test('a site signs for the grants that name it, and while it is trusted', async () => {
  const byOther = { signer: other.node.resultSigner };
  const known = knownBy(grant, NOW);
  const again = { nonce: 'AAECAwQFBgcICQoLDA0ODw', sites: [other.read.identity], from: NOW, end: NOW + 3600 };
  const moved = checkBy({ task: { ...known, grants: [...known.grants, again] } });
  await assert.rejects(moved.check({}, byOther), refused('result-forged'), 'of the grant before it ran elsewhere');
  await moved.check({ nonce: again.nonce }, { ...byOther, attempt: 2 });
  await assert.rejects(moved.check({ nonce: again.nonce }, { attempt: 2 }), refused('result-forged'));
  // A site that the grant names as well, and that is trusted no more, under the queue of the one that is.
  const task = knownBy({ ...grant, sites: [site.read.identity, third.read.identity] }, NOW);
  const word = makeSiteRecord(third.identity, recordOf(third.identity, third.node, { queue: 'GRID_A' }));
  const { check } = checkBy({ task, shown: word });
  await assert.rejects(check({}, { signer: third.node.resultSigner }), refused('result-forged'));
});

test("a grant of another device is learned from the server if it is the user's own, of that task and later", async () => {
  const mallory = await userNumber(2);
  const { signer: _signer, nonce: _nonce, ...content } = grant;
  // The site runs this one for its signer, and its nodes sign what it brings.
  const grantBy = (by: UserKeys, change: Partial<GrantContent> = {}) =>
    readGrant(makeGrant(by.signer, { ...content, ...change }, new Uint8Array(16).fill(8)));
  for (const [what, shownGrant] of [
    ["another user's", grantBy(mallory)],
    ["another task's", grantBy(user, { task: content.task + 1 })],
    ['an earlier one', grantBy(user, { end: content.end - 1 })],
  ] as const) {
    const { check, learned } = checkBy({ shownGrant });
    await assert.rejects(check({ nonce: shownGrant.nonce }, { attempt: 2 }), refused('result-other'), what);
    assert.deepEqual(learned, []);
  }
  const own = grantBy(user, { end: content.end + 1 });
  const { check, learned } = checkBy({ shownGrant: own });
  await check({ nonce: own.nonce }, { attempt: 2 });
  assert.deepEqual(learned, [own]);
  const elsewhere = checkBy({ shownGrant: own });
  await assert.rejects(elsewhere.check({ nonce: 'AAECAwQFBgcICQoLDA0ODw' }, { attempt: 2 }), refused('result-other'));
});

test('a result of another nonce, job, kind, name or place is refused', async () => {
  for (const change of [
    { nonce: 'AAECAwQFBgcICQoLDA0ODw' },
    { serial: 1 },
    { kind: 'live' as const },
    { kind: 'output' as const },
    { name: 'other' },
    { seq: 1 },
    { last: false },
  ]) {
    await assert.rejects(checkBy().check(change), refused('result-other'), JSON.stringify(change));
  }
  for (const wanted of [{ serial: 0 }, { serial: 4 }, { name: 'other' }, { kind: 'output' as const }]) {
    await assert.rejects(checkBy().check({ ...wanted, serial: 2 }, wanted), refused('result-other'));
  }
});

test("the server's count of attempts and the signed one rise together", async () => {
  await assert.rejects(checkBy().check({ attempt: 2 }), refused('result-other'));
  await assert.rejects(checkBy().check({ attempt: 1 }, { attempt: 2 }), refused('result-other'));
  await checkBy().check({ attempt: 2 }, { attempt: 2 });

  // Under two grants: what is seen of the second one is later than all of the first.
  const again = { nonce: 'AAECAwQFBgcICQoLDA0ODw', sites: grant.sites, from: NOW, end: NOW + 3600 };
  const known = knownBy(grant, NOW);
  const task = (...seen: SeenAttempt[]) => ({ ...known, isWhole: true, grants: [...known.grants, again], seen });
  const fresh = checkBy({ task: task() });
  await fresh.check({ nonce: again.nonce }, { attempt: 3 });
  await assert.rejects(fresh.check({ attempt: 2 }, { attempt: 2 }), refused('result-old'));
  await fresh.check({ attempt: 2 }, { attempt: 2, isLatest: false });
  await assert.rejects(fresh.check({ attempt: 2 }, { attempt: 3, isLatest: false }), refused('result-other'));
  await assert.rejects(fresh.check({ nonce: again.nonce, attempt: 2 }, { attempt: 3 }), refused('result-other'));
  await assert.rejects(fresh.check({ nonce: again.nonce, attempt: 2 }, { attempt: 2 }), refused('result-other'));
  assert.deepEqual(fresh.checks.seen(), [{ serial: 2, attempt: 3, grant: 1, counted: 1 }]);
  const later = checkBy({ task: task({ serial: 2, attempt: 3, grant: 1, counted: 1 }) });
  await assert.rejects(later.check({ attempt: 2 }, { attempt: 2 }), refused('result-old'));
  assert.deepEqual(later.checks.seen(), []);
  assert.equal(later.checks.latest(2), 3);

  // A device that does not know the first grant.
  const unknown = () => checkBy({ task: knownBy(grant, NOW) });
  const one = unknown();
  await one.check({ attempt: 2 }, { attempt: 4 });
  await assert.rejects(one.check({ attempt: 1 }, { attempt: 5, isLatest: false }), refused('result-other'));
  await one.check({ attempt: 1 }, { attempt: 2, isLatest: false });
  const two = unknown();
  await two.check({ attempt: 3 }, { attempt: 5 });
  await two.check({ attempt: 2 }, { attempt: 3, isLatest: false });
  await assert.rejects(two.check({ attempt: 1 }, { attempt: 3, isLatest: false }), refused('result-other'));
});

test('35 nothing follows the signed end of a live log', async () => {
  const task: GrantedTask = { ...knownBy(grant, NOW), isWhole: true };
  const partsOf = (...ends: boolean[]) =>
    ends.map((last, seq) => {
      const sha256 = createHash('sha256').update('x').digest('hex');
      const result: Result = { nonce: grant.nonce, serial: 2, attempt: 1, kind: 'live', name: LOG, seq, last, sha256 };
      return { size: 1, signature: makeResult(site.node.resultSigner, result) };
    });
  const read = async (...ends: boolean[]) => {
    const parts = partsOf(...ends);
    const content = Buffer.alloc(parts.length, 'x');
    const client = {
      getJobIds: async () => Array.from({ length: task.jobs }, (_, place) => place + 1),
      getJobLog: async () => ({ job_id: 2, attempt: 1, log_file: null, parts, content, next: parts.length }),
    } as unknown as Client;
    const trusted = { queue: 'GRID_A', id: site.read.identity, records: [site.record], untrusted: false };
    const sites = { list: async () => [trusted], trust: async () => site.read } as unknown as TrustedSites;
    const results = checkedResults(client, task, {
      sites,
      shownGrant: async () => undefined,
      learn: async () => {},
      identity: () => assert.fail(),
      see: async () => {},
      now: NOW,
    });
    return await results.client.getJobLog({ job_id: 2, offset: 0 });
  };
  assert.equal((await read(false, true)).content.toString(), 'xx');
  await assert.rejects(read(true, false), refused('result-order'));
});
