import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Unavailable } from '../../src/protocol/errors.ts';
import { type WireName, wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { isSealedValue } from '../../src/protocol/sealed-value.ts';
import { keyFolder, type OwnKeys, openOwnKeys } from '../../src/sealed/own-keys.ts';
import { openOwnSecrets, resealSecret, restoreSealed, setSealed } from '../../src/sealed/own-secrets.ts';
import { makeSiteRecord } from '../../src/sealed/site-record.ts';
import { importRoot } from '../../src/sealed/user-root.ts';
import { NOW, recordOf, siteNumber } from './samples.ts';

const A = wireName('A');
const refused = (code: string) => ({ name: 'SealedRefusal', code });

/** A server, which a test has do what it likes. */
class Shelf {
  readonly kept = new Map<WireName, string>();
  readonly records = new Map<string, string>();
  setSecret = async (name: WireName, value: string) => {
    this.kept.set(name, value);
    return 'OK';
  };
  getSecrets = async (names: readonly WireName[] = [...this.kept.keys()]) =>
    new Map(names.flatMap((name) => (this.kept.has(name) ? [[name, new Plaintext(this.kept.get(name) ?? '')]] : [])));
  getSiteRecord = async (queue: string) => this.records.get(queue) ?? null;
}

async function newUser(
  t: TestContext,
): Promise<{ own: OwnKeys; shelf: Shelf; read(): Promise<(string | undefined)[]> }> {
  const folder = mkdtempSync(join(tmpdir(), 'own-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const keys = keyFolder(folder);
  await keys.key.create(importRoot(new Uint8Array(32).fill(1)));
  const own = await openOwnKeys(keys, () => assert.fail());
  assert.ok(own);
  const shelf = new Shelf();
  const read = async () =>
    (await openOwnSecrets(await shelf.getSecrets(), own)).map(({ value, problem }) => value?.reveal() ?? problem);
  return { own, shelf, read };
}

const set = (shelf: Shelf, own: OwnKeys, text: string, queues?: string[]) =>
  setSealed(shelf, own, A, new Plaintext(text), { now: NOW, ...(queues && { attributes: { queues } }) });

/** The server takes it, and the user never learns that. */
async function setUnanswered(shelf: Shelf, own: OwnKeys, text: string): Promise<void> {
  const { setSecret } = shelf;
  shelf.setSecret = async (...given) => {
    await setSecret(...given);
    throw new Unavailable('the answer was lost');
  };
  await assert.rejects(set(shelf, own, text), Unavailable);
  shelf.setSecret = setSecret;
}

test('a value that the server did not take leaves the one before it good', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'first');
  const { setSecret } = shelf;
  shelf.setSecret = () => Promise.reject(new Unavailable('the connection broke'));
  await assert.rejects(set(shelf, own, 'second'), Unavailable);
  assert.deepEqual(await read(), ['first']);
  shelf.setSecret = setSecret;
  await set(shelf, own, 'third');
  assert.deepEqual(await read(), ['third']);
});

test('an older version that comes back is refused', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'first');
  const first = shelf.kept.get(A) ?? '';
  await set(shelf, own, 'second');
  shelf.kept.set(A, first);
  assert.deepEqual(await read(), ['secret-old']);
});

test('a secret that was deleted does not come back, unless it was sealed since', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'first');
  const first = shelf.kept.get(A) ?? '';
  await setUnanswered(shelf, own, 'second');
  const second = shelf.kept.get(A) ?? '';
  await own.marks.delete(A);
  for (const [text, code] of [
    [second, 'secret-deleted'],
    [first, 'secret-old'],
    [second, 'secret-deleted'],
  ] as const) {
    shelf.kept.set(A, text);
    assert.deepEqual(await read(), [code]);
    assert.equal((await own.marks.of(A))?.deleted, true);
  }
  assert.equal(await resealSecret(shelf, own, { name: A }, NOW), undefined);
  await set(shelf, own, 'third');
  assert.deepEqual(await read(), ['third']);
  assert.equal((await own.marks.of(A))?.deleted, false);
});

test('a value whose answer was lost is good, for its owner made it', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'first');
  const first = shelf.kept.get(A) ?? '';
  await setUnanswered(shelf, own, 'second');
  assert.deepEqual(await read(), ['second']);
  shelf.kept.set(A, first);
  assert.deepEqual(await read(), ['secret-old'], 'seen once, it is the newest');
});

test('a reseal that the server does not keep is told, and the next one tries again', async (t) => {
  const { own, shelf, read } = await newUser(t);
  const site = await siteNumber(1);
  await set(shelf, own, 'first');
  const first = shelf.kept.get(A) ?? '';
  await own.sites.trust('GRID_A', site.read.identity, site.record, NOW);
  const { setSecret } = shelf;
  shelf.setSecret = async () => 'OK';
  await assert.rejects(resealSecret(shelf, own, { name: A }, NOW), refused('secret-old'));
  assert.equal(shelf.kept.get(A), first);
  assert.deepEqual(await read(), ['first'], 'the one before is good');
  shelf.setSecret = setSecret;
  assert.deepEqual(await resealSecret(shelf, own, { name: A }, NOW), ['GRID_A']);
  assert.deepEqual(await read(), ['first']);
  shelf.kept.set(A, first);
  assert.deepEqual(await read(), ['secret-old']);
});

test('a secret that is sealed for who is trusted is not sealed anew', async (t) => {
  const { own, shelf } = await newUser(t);
  const site = await siteNumber(1);
  await own.sites.trust('GRID_A', site.read.identity, site.record, NOW);
  await set(shelf, own, 'first');
  assert.equal(await resealSecret(shelf, own, { name: A }, NOW), undefined);
  const later = makeSiteRecord(site.identity, recordOf(site.identity, site.node, { serial: 2 }));
  shelf.records.set('GRID_A', later);
  assert.deepEqual(await resealSecret(shelf, own, { name: A }, NOW), ['GRID_A']);
  assert.equal(await resealSecret(shelf, own, { name: A }, NOW), undefined);
});

test('a site whose record ended keeps nobody from sealing for the others, unless its queue is named', async (t) => {
  const { own, shelf } = await newUser(t);
  const site = await siteNumber(1);
  const gone = await siteNumber(2);
  const short = makeSiteRecord(gone.identity, recordOf(gone.identity, gone.node, { queue: 'GRID_B', end: NOW + 10 }));
  await own.sites.trust('GRID_A', site.read.identity, site.record, NOW);
  await own.sites.trust('GRID_B', gone.read.identity, short, NOW);
  const later = { now: NOW + 20 };
  assert.deepEqual((await setSealed(shelf, own, A, new Plaintext('v'), later)).queues, ['GRID_A']);
  const named = { ...later, attributes: { queues: ['GRID_A', 'GRID_B'] } };
  await assert.rejects(setSealed(shelf, own, A, new Plaintext('v'), named), refused('site-record-ended'));
});

test('the queues that were named hold for the next value, and "*" lifts them', async (t) => {
  const { own, shelf } = await newUser(t);
  for (const [n, queue] of [
    [1, 'GRID_A'],
    [2, 'GRID_B'],
  ] as const) {
    const { read, record } = await siteNumber(n, queue);
    await own.sites.trust(queue, read.identity, record, NOW);
  }
  assert.deepEqual((await set(shelf, own, 'one', ['GRID_B'])).queues, ['GRID_B']);
  assert.deepEqual((await set(shelf, own, 'two')).queues, ['GRID_B']);
  assert.deepEqual((await set(shelf, own, 'three', ['*'])).queues, ['GRID_A', 'GRID_B']);
  await assert.rejects(set(shelf, own, 'four', ['GRID_C']), /GRID_C is not trusted/);
});

test('a kept version is restored by sealing it anew, and nothing else is', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'first');
  const first = new Plaintext(shelf.kept.get(A) ?? '');
  await set(shelf, own, 'second');
  assert.ok(await restoreSealed(shelf, own, A, first, NOW));
  assert.deepEqual(await read(), ['first']);
  assert.notEqual(shelf.kept.get(A), first.reveal());
  await assert.rejects(restoreSealed(shelf, own, A, new Plaintext('plain'), NOW), refused('secret-not-sealed'));
  await assert.rejects(restoreSealed(shelf, undefined, A, first, NOW), /no key/);
  assert.equal(await restoreSealed(shelf, own, wireName('NEVER'), new Plaintext('plain'), NOW), undefined);
  await assert.rejects(restoreSealed(shelf, own, wireName('OTHER'), first, NOW), refused('secret-swapped'));
});

test('a sealed file takes the place of a sealed string, which does not come back', async (t) => {
  const { own, shelf, read } = await newUser(t);
  await set(shelf, own, 'a string');
  const string = shelf.kept.get(A) ?? '';
  shelf.kept.clear();
  await setSealed(shelf, own, wireName('A', 'file'), new Plaintext('YQ=='), { now: NOW });
  assert.deepEqual(await read(), ['YQ==']);
  shelf.kept.clear();
  shelf.kept.set(A, string);
  assert.ok(isSealedValue(string));
  assert.deepEqual(await read(), ['secret-old']);
});
