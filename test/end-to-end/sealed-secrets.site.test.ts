import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientRequest, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isSealedValue } from '../../src/protocol/sealed-value.ts';
import { rootOfRecoveryCode } from '../../src/sealed/user-root.ts';
import { pilot } from '../pilot/hostile-server.ts';
import { bubblewrap } from '../pilot/isolated.ts';
import { startMiddle } from '../server/middle.ts';
import { OPEN_MEMORY, searchMemory } from './process-memory.ts';
import { filesBelow, startSite, tracesOf, type User } from './site.ts';

const onLinux = process.platform === 'linux' ? false : 'looks into /proc';

test('a job finds a sealed secret as any other, and nothing that the server has, says or remembers holds its value or a key to it', {
  skip: bubblewrap.skip || onLinux,
}, async (t) => {
  const sealedValue = `sealed-${randomBytes(18).toString('base64url')}`;
  const plainValue = `plain-${randomBytes(18).toString('base64url')}`;
  const settings = { PANDA_SECRETS_TRUSTED_PROXY: '127.0.0.1' };
  const site = await startSite(t, { settings, nodeOptions: [OPEN_MEMORY] });
  const middle = await startMiddle(t, site.url);
  const folder = temporaryFolder(t);
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, middle.ca);
  const reached = { PANDA_URL: middle.url, PANDA_URL_SSL: middle.url, SSL_CERT_FILE: ca };

  // The site: an identity of its admin, and a key of its nodes.
  const identity = join(folder, 'identity.json');
  const key = join(folder, 'site', 'site.key');
  const siteId = await admin('site-identity', 'new', '--out', identity);
  await admin('site-key', 'new', '--queue', 'default', '--out', key, '--identity', identity);
  assert.match(await site.operator('queue', 'site-key', 'default', `${key}.pub`), new RegExp(siteId));

  const alice = await site.user('alice', reached);
  const code = await done(alice, 'keys', 'init', '--yes');
  await done(alice, 'keys', 'trust', `default=${siteId}`);

  const root = rootOfRecoveryCode(code.trim()).export();
  const nodeRoots: string[] = JSON.parse(readFileSync(key, 'utf8')).keys.map((one: { root: string }) => one.root);
  const forbidden = [
    sealedValue,
    code.trim(),
    root,
    ...nodeRoots.map((text) => Buffer.from(text, 'base64url')),
  ].flatMap(formsOf);
  /** Looks once more into the server's memory for these too. */
  const search = async (when: string, wanted: readonly Buffer[] = []) => {
    const found = await searchMemory(site.pid, [...forbidden, ...wanted]);
    for (const form of forbidden) assert.ok(!found.has(form), `${when} the server's memory holds ${form}`);
    return wanted.every((form) => found.has(form));
  };
  const whileItRuns = async (work: Promise<unknown>, when: string) => {
    let isOver = false;
    const over = work.finally(() => {
      isOver = true;
    });
    do await search(when);
    while (!isOver);
    await over;
  };

  await whileItRuns(done(alice, 'set_secret', 'TOKEN', sealedValue), 'while it is set');
  await done(alice, 'set_secret', 'OLD', plainValue, '--plain');

  writeFileSync(
    join(alice.directory, 'run.sh'),
    'sha256sum < panda_secrets.json > out.txt; cat panda_secrets.json; echo " $1"\n',
  );
  const submit = async (name: string, secret: string) => {
    const task = ['--exec', `sh run.sh ${name}`, '--outDS', `user.alice.${name}`, '--site', 'default'];
    const { status, stderr } = await alice.prun(...task, '--outputs', 'out.txt', `--useSecrets=${secret}`);
    assert.equal(status, 0, stderr);
  };
  await submit('sealed', 'TOKEN');
  await submit('plain', 'OLD');
  const running = site.pilot({
    jobs: 2,
    idleExit: 60,
    args: ['--site-key', key, '--isolate', 'on'],
    env: { ...reached, NODE_EXTRA_CA_CERTS: ca },
  });
  await whileItRuns(running, 'while it is delivered');
  const node = await running;
  assert.equal(node.status, 0, node.stderr);

  const logs: string[] = [];
  for (const { jediTaskID, taskName, status: state } of JSON.parse(await done(alice, 'show', '--json')).data) {
    assert.equal(state, 'done', taskName);
    logs.push(await done(alice, 'logs', String(jediTaskID)));
  }
  assert.match(logs.join('\n'), /\{"TOKEN":"\*\*\*"\} sealed/);
  assert.match(logs.join('\n'), /\{"OLD":"\*\*\*"\} plain/);
  assert.match(await done(alice, 'list_secrets'), new RegExp(sealedValue));

  // A plain value and the sealed one, in requests that the server is still reading: the search finds what is there.
  const kept: string = JSON.parse(await answerOf(`${site.url}/api/v1/creds/get_user_secrets?keys=TOKEN`, alice)).TOKEN;
  assert.ok(isSealedValue(kept));
  const unfinished = [beginToSet(site.url, alice, plainValue), beginToSet(site.url, alice, kept)];
  const there = [Buffer.from(plainValue), Buffer.from(kept.slice(-300, -200))];
  for (let pass = 1; !(await search('afterwards', there)); pass++) assert.ok(pass < 50, 'the search finds nothing');
  for (const one of unfinished) one.destroy();
  await done(alice, 'delete_secret', 'TOKEN');
  await search('after it was deleted');

  const all = [
    ...middle.exchanges.map(({ path, body, answer }) => Buffer.from(`${path}\n${body}\n${answer.body}`)),
    ...filesBelow(site.data).map(({ bytes }) => bytes),
    Buffer.from(`${site.serverOutput()}${logs}${node.stdout}${node.stderr}`),
  ];
  assert.ok(
    all.some((bytes) => bytes.includes(plainValue)),
    'a plain value passes by',
  );
  for (const form of forbidden) {
    for (const bytes of all) assert.ok(!bytes.includes(form), `the server has ${form} in something`);
  }
});

/** What text or bytes look like where a program has them: as `tracesOf`, and as JavaScript keeps text that is not Latin. */
function formsOf(secret: string | Uint8Array): Buffer[] {
  const traces = tracesOf(secret);
  const texts = typeof secret === 'string' ? traces : traces.slice(1);
  return [...traces, ...texts.map((form) => Buffer.from(form.toString('latin1'), 'utf16le'))];
}

/** Sends all of a request that sets a secret but its end. */
function beginToSet(url: string, user: User, value: string): ClientRequest {
  const body = JSON.stringify({ key: 'UNFINISHED', value });
  const headers = {
    authorization: `Bearer ${user.token}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  const sending = request(`${url}/api/v1/creds/set_user_secrets`, { method: 'POST', headers });
  sending.on('error', () => {});
  sending.write(body.slice(0, -2));
  return sending;
}

async function answerOf(url: string, user: User): Promise<string> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${user.token}` } });
  return ((await answer.json()) as { data: string }).data;
}

async function done(user: User, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await user.pbook(...args);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Runs `panda-pilot` as a site's admin. @returns what it prints */
async function admin(...args: string[]): Promise<string> {
  const { status, said, printed } = await pilot(args);
  assert.equal(status, 0, said);
  return printed.trim();
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealed-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}
