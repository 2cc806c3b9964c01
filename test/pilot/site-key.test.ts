import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseSiteId } from '../../src/sealed/site-id.ts';
import {
  readSiteIdentity,
  readSiteKey,
  renewSiteKey,
  signSiteRecord,
  writeRecord,
} from '../../src/sealed/site-key-file.ts';
import { checkSiteRecord, readSiteRecord } from '../../src/sealed/site-record.ts';
import { OPEN_MEMORY } from '../end-to-end/process-memory.ts';
import { temporaryFolder } from './folders.ts';
import { pilot } from './hostile-server.ts';
import { stubToken } from './stub-session.ts';

const NOW = Math.floor(Date.now() / 1000);
const DAY = 24 * 3600;

/** A site's identity and key, made as its admin makes them. */
async function newSite(t: TestContext) {
  const folder = await temporaryFolder(t);
  const identity = join(folder, 'identity.json');
  const key = join(folder, 'keys', 'default.key');
  const run = async (...args: string[]) => {
    const outcome = await pilot(args, { env: { HOME: folder } });
    assert.equal(outcome.status, 0, outcome.said);
    return outcome.printed.trim();
  };
  const id = await run('site-identity', 'new', '--out', identity);
  await run('site-key', 'new', '--queue', 'default', '--out', key, '--identity', identity);
  return { folder, identity, key, id, run, record: () => readFileSync(`${key}.pub`, 'utf8').trim() };
}

/** Starts a pilot with a key at a server that is not there: what is wrong with the key is told before that. */
function start(key: string, options: readonly string[], as: { node?: string; env?: Record<string, string> } = {}) {
  const where = ['--queue', 'default', '--server', 'http://127.0.0.1:9', '--idle-exit', '1', '--token-file', '-'];
  const workdir = `${key}-pilots`;
  return pilot([...where, '--workdir', workdir, '--site-key', key, ...options], {
    input: stubToken(),
    ...as,
  });
}

test("a site's key and its record are made, signed and renewed, and only its user can read it", async (t) => {
  const { identity, key, id, run, record } = await newSite(t);
  assert.equal(parseSiteId(id), id);
  for (const file of [identity, key]) assert.equal(statSync(file).mode & 0o777, 0o600);
  const known = { queue: 'default', id };
  const first = checkSiteRecord(record(), known, NOW);
  assert.ok(first.end > NOW + 30 * DAY);
  const old = await readSiteKey(key);

  await run('site-key', 'renew', '--queue', 'default', '--out', key, '--identity', identity);
  const second = checkSiteRecord(record(), { ...known, record: record() }, NOW);
  assert.ok(second.serial > first.serial);
  assert.notEqual(second.recipient, first.recipient);
  const renewed = await readSiteKey(key);
  assert.equal(renewed.identities.length, 2);
  assert.notEqual(renewed.resultSigner.publicKey, old.resultSigner.publicKey);
});

test('a key whose identity is elsewhere goes on with its record until another is signed for it', async (t) => {
  const { folder, identity, key, run, record } = await newSite(t);
  const before = record();
  await run('site-key', 'renew', '--queue', 'default', '--out', key);
  assert.equal(record(), before);
  assert.equal((await readSiteKey(key)).record.recipient, readSiteRecord(before).recipient);
  const signed = await run('site-identity', 'sign', `${key}.req`, '--identity', identity);
  writeFileSync(`${key}.pub`, `${signed}\n`);
  assert.ok((await readSiteKey(key)).record.serial > readSiteRecord(before).serial);

  const fresh = join(folder, 'fresh', 'q.key');
  await run('site-key', 'new', '--queue', 'q', '--out', fresh);
  assert.ok(!existsSync(`${fresh}.pub`));
  await assert.rejects(readSiteKey(fresh), { code: 'ERR_MISCONFIGURED', message: /site-identity sign/ });
});

test('keys and identities are never overwritten, and another identity does not sign for a key that has one', async (t) => {
  const { folder, identity, key, run } = await newSite(t);
  const before = readFileSync(key, 'utf8');
  const other = join(folder, 'other.json');
  await run('site-identity', 'new', '--out', other);
  for (const args of [
    ['site-key', 'new', '--queue', 'default', '--out', key],
    ['site-identity', 'new', '--out', identity],
    ['site-key', 'renew', '--queue', 'default', '--out', key, '--identity', other],
    ['site-key', 'renew', '--queue', 'elsewhere', '--out', key],
  ]) {
    const { status, said } = await pilot(args);
    assert.equal(status, 1, args.join(' '));
    assert.match(said, /already|another site identity|is for the queue/);
  }
  assert.equal(readFileSync(key, 'utf8'), before);
});

test('a key that was replaced 90 days ago is forgotten', async (t) => {
  const { identity, key } = await newSite(t);
  const signer = await readSiteIdentity(identity);
  const counts: number[] = [];
  for (const days of [30, 60, 90, 121, 151]) {
    const request = await renewSiteKey(key, 'default', NOW + days * DAY);
    await writeRecord(key, signSiteRecord(signer, request, NOW));
    counts.push((await readSiteKey(key)).identities.length);
  }
  assert.deepEqual(counts, [2, 3, 4, 4, 4]);
});

test('39 a pilot with a site key does not start where jobs or others could get at it', async (t) => {
  const { folder, key, identity, run, record } = await newSite(t);
  const refused = async (pattern: RegExp, ...options: string[]) => {
    const { status, said } = await start(key, options);
    assert.equal(status, 1, said);
    assert.match(said, pattern);
  };
  const open = await start(key, [], { env: { NODE_OPTIONS: OPEN_MEMORY } });
  assert.equal(open.status, 1);
  assert.match(open.said, /--site-key: this Node cannot keep its memory/);
  await refused(/must be isolated/, '--isolate', 'off', '--allow-root');
  await refused(/record is another queue's/, '--queue', 'elsewhere');

  chmodSync(key, 0o640);
  await refused(/chmod 600/);
  chmodSync(key, 0o600);

  const mine = record();
  const other = join(folder, 'other', 'default.key');
  await run('site-key', 'new', '--queue', 'default', '--out', other, '--identity', identity);
  writeFileSync(`${key}.pub`, readFileSync(`${other}.pub`));
  await refused(/not of this key/);
  writeFileSync(`${key}.pub`, mine.replace(/.$/, mine.endsWith('A') ? 'Q' : 'A'));
  await refused(/malformed|not signed/);

  const request = await renewSiteKey(key, 'default', NOW);
  await writeRecord(key, signSiteRecord(await readSiteIdentity(identity), request, NOW - 40 * DAY));
  await refused(/has ended/);
});

const oldNode = process.env['PANDA_TEST_NODE_24'];

test('39 a pilot with a site key does not start on a Node that cannot close its memory', {
  skip: !oldNode && 'PANDA_TEST_NODE_24 names no program of Node 24',
}, async (t) => {
  const { key } = await newSite(t);
  const { status, said } = await start(key, [], { node: oldNode as string });
  assert.equal(status, 1, said);
  assert.match(said, /--site-key: this Node cannot keep its memory.*Node 26/);
});
