import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listAccounts } from '../../src/identity/accounts.ts';
import { Misconfigured, Unauthenticated } from '../../src/protocol/errors.ts';
import { readSettings } from '../../src/site/settings.ts';
import { programPath } from '../programs.ts';
import { startLoginSite } from './login-site.ts';
import { createVisitor } from './visitor.ts';

const MAIN = programPath('panda-secrets');

test('an account is added with the password on standard input', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const { status } = operator(site.folder, ['user', 'add', 'Carol', '--password-stdin'], 'a new long password\n');
  assert.equal(status, 0);
  assert.equal((await site.signIn.signIn('carol', 'a new long password')).name, 'carol');
});

test('an account added without a password gets a link at which its owner chooses one', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const { stdout } = operator(site.folder, ['user', 'add', 'carol', '--public-url', site.url]);
  const link = /http\S+\/password\/\S+/.exec(stdout)?.[0] ?? '';
  const password = 'a new long password';
  const { html } = await createVisitor(site.url).submit(link, { password, again: password });
  assert.match(html, /Your password is set/);
  assert.equal((await site.signIn.signIn('carol', password)).name, 'carol');
});

test('a password is changed, and one that is too short is refused without being repeated', async (t) => {
  const site = await startLoginSite(t);
  const refused = operator(site.folder, ['user', 'password', 'alice', '--password-stdin'], 'tooshort');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /at least 12 characters/);
  assert.doesNotMatch(refused.stdout + refused.stderr, /tooshort/);
  assert.equal(operator(site.folder, ['user', 'password', 'alice', '--password-stdin'], 'another password').status, 0);
  await assert.rejects(site.signIn.signIn('alice', 'correct horse battery'), Unauthenticated);
  assert.equal((await site.signIn.signIn('alice', 'another password')).name, 'alice');
});

test('who is disabled cannot sign in until they are enabled again', async (t) => {
  const site = await startLoginSite(t);
  assert.equal(operator(site.folder, ['user', 'disable', 'alice']).status, 0);
  await assert.rejects(site.signIn.signIn('alice', 'correct horse battery'), Unauthenticated);
  assert.equal(operator(site.folder, ['user', 'enable', 'alice']).status, 0);
  assert.equal((await site.signIn.signIn('alice', 'correct horse battery')).name, 'alice');
});

test('an account that is refused leaves nothing behind', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const { status } = operator(site.folder, ['user', 'add', 'dave', '--password-stdin'], 'short');
  assert.equal(status, 1);
  assert.ok(!(await listAccounts(site.store)).some(({ name }) => name === 'dave'));
});

test('the public address is an origin, over https unless it is of this machine', () => {
  for (const good of ['https://panda.example.org', 'https://panda.example.org:8443/', 'http://localhost:25080']) {
    assert.equal(readSettings({ publicUrl: good }, {}).publicUrl, new URL(good).origin);
  }
  for (const bad of [
    'panda.example.org',
    'http://panda.example.org',
    'https://panda.example.org/path',
    'ftp://x',
    '',
  ]) {
    assert.throws(() => readSettings({ publicUrl: bad }, {}), Misconfigured, bad);
  }
});

test('an external issuer at which people log in is configured with its VO and client', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'settings-test-'));
  const config = join(folder.path, 'config.toml');
  writeFileSync(
    config,
    `[[issuers]]
issuer = "https://iam.example.org/"
audience = "panda"
name_claim = "full_name"
groups_claim = "wlcg.groups"
pilots = { "atlas/pilot" = ["QUEUE"] }
login = { vo = "atlas", client_id = "panda", client_secret = "hush" }
`,
  );
  assert.deepEqual(readSettings({ config }, {}).issuers, [
    {
      issuer: 'https://iam.example.org/',
      audience: ['panda'],
      nameClaim: 'full_name',
      groupsClaim: 'wlcg.groups',
      pilots: { 'atlas/pilot': ['QUEUE'] },
      login: { vo: 'atlas', clientId: 'panda', clientSecret: 'hush' },
    },
  ]);
  writeFileSync(config, '[[issuers]]\nissuer = "https://x.example"\naudience = "panda"\nlogin = { vo = "atlas" }\n');
  assert.throws(() => readSettings({ config }, {}), /"client_id" in "login" of \[\[issuers\]\] number 1/);
});

function operator(data: string, args: readonly string[], input = '') {
  const options = ['--disable-warning=ExperimentalWarning', MAIN, ...args, '--data', data];
  return spawnSync(process.execPath, options, { input, encoding: 'utf8', env: { PATH: process.env['PATH'] } });
}
