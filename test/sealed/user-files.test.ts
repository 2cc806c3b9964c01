import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { AlreadyExists, InvalidArgument, Misconfigured } from '../../src/protocol/errors.ts';
import { wireName } from '../../src/protocol/names.ts';
import { everSealed, marksOf } from '../../src/sealed/marks.ts';
import { makeSiteRecord } from '../../src/sealed/site-record.ts';
import { trustedSites } from '../../src/sealed/trusted-sites.ts';
import { userKeyFile } from '../../src/sealed/user-key-file.ts';
import { newRoot, recoveryCodeOf, rootOfRecoveryCode } from '../../src/sealed/user-root.ts';
import { NOW, recordOf, siteNumber, userNumber } from './samples.ts';

const nobodyAsked = () => assert.fail('no passphrase was set');
const refused = (code: string) => ({ name: 'SealedRefusal', code });
const { publicKey } = (await userNumber(1)).signer;
const A = wireName('A');

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealed-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a user's key is kept for the user alone, and never overwritten", async (t) => {
  const file = userKeyFile(join(newFolder(t), 'sealed', 'key'));
  assert.equal(await file.read(nobodyAsked), undefined);
  const root = newRoot();
  await file.create(root);
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
  assert.ok((await file.read(nobodyAsked))?.equals(root));
  await assert.rejects(file.create(newRoot()), AlreadyExists);
  assert.ok((await file.read(nobodyAsked))?.equals(root));
  chmodSync(file.path, 0o640);
  await assert.rejects(file.read(nobodyAsked), Misconfigured);
});

test('a key under a passphrase is not in its file, and opens with it alone', async (t) => {
  const file = userKeyFile(join(newFolder(t), 'key'), 10);
  const root = newRoot();
  await file.create(root, 'correct horse');
  assert.doesNotMatch(readFileSync(file.path, 'utf8'), new RegExp(root.export().toString('base64url')));
  assert.ok((await file.read(async () => 'correct horse'))?.equals(root));
  await assert.rejects(
    file.read(async () => 'battery staple'),
    InvalidArgument,
  );
});

test('a recovery code is read as people type it, and not with a mistake in it', () => {
  const root = newRoot();
  const code = recoveryCodeOf(root);
  assert.match(code, /^([A-Z2-7]{4}-){13}[A-Z2-7]{4}$/);
  assert.ok(rootOfRecoveryCode(` ${code.toLowerCase().replaceAll('-', ' ')}\n`).equals(root));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: code.length - 1 }), fc.constantFrom(...'ABCDEFGHIJ234567'), (at, letter) => {
      fc.pre(code[at] !== letter && code[at] !== '-');
      const typed = code.slice(0, at) + letter + code.slice(at + 1);
      assert.throws(
        () => rootOfRecoveryCode(typed),
        (error: Error) => !error.message.includes(typed),
      );
    }),
  );
});

test('a site that is trusted stays the one that it was', async (t) => {
  const sites = trustedSites(join(newFolder(t), 'sites'));
  const site = await siteNumber(1);
  const other = await siteNumber(2);
  const { identity: id } = site.read;
  await sites.trust('GRID_A', id, site.record, NOW);
  await assert.rejects(sites.trust('GRID_A', other.read.identity, other.record, NOW), refused('site-key-changed'));
  await assert.rejects(sites.trust('GRID_A', id, other.record, NOW), refused('site-key-changed'));
  const later = makeSiteRecord(site.identity, recordOf(site.identity, site.node, { serial: 2 }));
  await sites.trust('GRID_A', id, later, NOW);
  await assert.rejects(sites.trust('GRID_A', id, site.record, NOW), refused('site-record-older'));
  assert.deepEqual(await sites.list(), [{ queue: 'GRID_A', id, records: [later, site.record], untrusted: false }]);
  assert.equal((await sites.untrust('GRID_A'))?.id, id);
  await sites.trust('GRID_A', other.read.identity, other.record, NOW);
});

test('a site that is trusted again has its records, and no older one; another one has its own alone', async (t) => {
  const sites = trustedSites(join(newFolder(t), 'sites'));
  const site = await siteNumber(1);
  const other = await siteNumber(2);
  const { identity: id } = site.read;
  const later = makeSiteRecord(site.identity, recordOf(site.identity, site.node, { serial: 2 }));
  for (const record of [site.record, later]) await sites.trust('GRID_A', id, record, NOW);
  await sites.untrust('GRID_A');
  assert.deepEqual(await sites.list(), []);
  assert.equal(await sites.untrust('GRID_A'), undefined);
  await assert.rejects(sites.trust('GRID_A', id, site.record, NOW), refused('site-record-older'));
  await sites.trust('GRID_A', other.read.identity, other.record, NOW);
  await assert.rejects(sites.trust('GRID_A', id, later, NOW), refused('site-key-changed'));
  assert.deepEqual(await sites.list(), [
    { queue: 'GRID_A', id: other.read.identity, records: [other.record], untrusted: false },
  ]);
  await sites.untrust('GRID_A');
  await sites.trust('GRID_A', id, later, NOW);
  assert.deepEqual(await sites.list(), [{ queue: 'GRID_A', id, records: [later, site.record], untrusted: false }]);
});

test('files of an earlier release are read', async (t) => {
  const folder = newFolder(t);
  const { read, record } = await siteNumber(1);
  const site = { queue: 'GRID_A', id: read.identity, records: [record] };
  writeFileSync(join(folder, 'sites'), JSON.stringify({ sites: [site] }), { mode: 0o600 });
  assert.deepEqual(await trustedSites(join(folder, 'sites')).list(), [{ ...site, untrusted: false }]);
  const mark = { name: 'A', made: 7, taken: 7, queues: null, sites: [], deleted: false };
  const content = JSON.stringify({ signer: publicKey, marks: [mark] });
  writeFileSync(join(folder, publicKey.slice(0, 16)), content, { mode: 0o600 });
  assert.deepEqual(await marksOf(folder, publicKey).list(), [{ ...mark, unproven: false }]);
});

test("another device's marks prove what came from the server alone, unless they are older", async (t) => {
  const marks = marksOf(join(newFolder(t), 'marks'), publicKey);
  const mark = { name: 'A', made: 7, taken: 7, queues: null, sites: [], deleted: false, unproven: false };
  await marks.take([{ name: A, version: 7, unproven: true }]);
  await marks.put([{ ...mark, taken: 6 }]);
  assert.equal((await marks.of(A))?.unproven, true);
  await marks.put([mark]);
  assert.deepEqual(await marks.list(), [mark]);
});

test('the version of a secret never falls, whatever the clock says', async (t) => {
  const marks = marksOf(join(newFolder(t), 'marks'), publicKey);
  const make = (now: number) => marks.make(A, { queues: null, sites: [], now });
  assert.equal(await make(1000), 1000);
  assert.equal(await make(1000), 1001);
  assert.equal(await make(5), 1002);
  await marks.take([{ name: A, version: 5000 }]);
  assert.equal(await make(5), 5001);
  await marks.take([{ name: A, version: 4000 }]);
  assert.equal((await marks.of(A))?.taken, 5000);
});

test('a version that was made and not taken does not make the one before it an old one', async (t) => {
  const marks = marksOf(join(newFolder(t), 'marks'), publicKey);
  await marks.take([{ name: A, version: await marks.make(A, { queues: ['Q'], sites: [], now: 7 }) }]);
  await marks.make(A, { queues: ['Q'], sites: [], now: 9 });
  const { made, taken } = (await marks.of(A)) ?? {};
  assert.deepEqual([made, taken], [9, 7]);
});

test('a name that was sealed once stays known: as a file, deleted, and sealed again', async (t) => {
  const site = (await siteNumber(1)).read.identity;
  const marks = marksOf(join(newFolder(t), 'marks'), publicKey);
  await marks.take([{ name: A, version: await marks.make(A, { queues: null, sites: [site], now: 7 }) }]);
  await marks.delete(A);
  assert.equal((await marks.of(wireName('A', 'file')))?.deleted, true);
  const version = await marks.make(wireName('A', 'file'), { queues: null, sites: [], now: 1 });
  await marks.take([{ name: wireName('A', 'file'), version }]);
  assert.deepEqual(await marks.list(), [
    { name: '___file___:A', made: 8, taken: 8, queues: null, sites: [site], deleted: false, unproven: false },
  ]);
});

test('ten commands at once each get a number of their own', async (t) => {
  const marks = marksOf(join(newFolder(t), 'marks'), publicKey);
  const made = await Promise.all(Array.from({ length: 10 }, () => marks.make(A, { queues: null, sites: [], now: 1 })));
  assert.equal(new Set(made).size, 10);
});

test('names that another key sealed stay known when there is a new one', async (t) => {
  const folder = join(newFolder(t), 'marks');
  const other = (await userNumber(2)).signer.publicKey;
  assert.deepEqual(await everSealed(folder), new Set());
  await marksOf(folder, publicKey).take([{ name: A, version: 7 }]);
  await marksOf(folder, other).take([{ name: wireName('B'), version: 7 }]);
  assert.deepEqual([...(await everSealed(folder))].sort(), ['A', 'B']);
  assert.equal(await marksOf(folder, other).of(A), undefined);
});

test('of two keys that are made at once, one is kept and the other is told', async (t) => {
  const path = join(newFolder(t), 'key');
  const roots = [newRoot(), newRoot(), newRoot()];
  const made = await Promise.allSettled(roots.map((root) => userKeyFile(path).create(root)));
  assert.deepEqual(made.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected']);
  const winner = roots[made.findIndex(({ status }) => status === 'fulfilled')];
  assert.ok(winner && (await userKeyFile(path).read(nobodyAsked))?.equals(winner));
});
