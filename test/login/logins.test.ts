import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import type { ListedLogin } from '../../src/protocol/calls/login.ts';
import * as calls from '../../src/protocol/calls/login.ts';
import { getUserAttributes } from '../../src/protocol/calls/system.ts';
import { ACCOUNT_RECHECK_SECONDS, MAX_SIGN_IN_FAILURES } from '../../src/protocol/limits.ts';
import { makeHome } from './command-line.ts';
import { confirmDevice, type LoginSite, PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor } from './visitor.ts';

const NEW_PASSWORD = 'another long password';

test('somebody sees the programs and browsers that they logged in, and which one asks', async (t) => {
  const site = await startLoginSite(t);
  const { id_token } = await site.logIn('alice');
  await site.logIn('alice');
  const logins = await listOf(site, id_token);
  const programs = logins.filter(({ kind }) => kind === 'program');
  assert.deepEqual(
    programs.map(({ program, address }) => [program, address]),
    Array(2).fill(['PanDA command line (pbook, prun)', '127.0.0.1']),
  );
  assert.equal(programs.filter(({ current }) => current).length, 1);
  assert.equal(logins.filter(({ kind }) => kind === 'browser').length, 2);
  const [browser] = logins.filter(({ kind }) => kind === 'browser');
  assert.equal(browser?.address, '127.0.0.1');
  assert.ok(Date.parse(browser?.expires_at ?? '') > Date.now());
});

test('a login that was ended gets no token, its token is void soon, and the others go on', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const [lost, kept] = [await site.logIn('alice'), await site.logIn('alice')];
  const { id = '' } = (await listOf(site, lost.id_token)).find(({ current }) => current) ?? {};
  assert.ok((await site.ask(kept.id_token, calls.endLogin, { id })).success);
  assert.equal((await site.renew(lost.refresh_token)).error, 'invalid_grant');
  offset = ACCOUNT_RECHECK_SECONDS * 1000;
  assert.match((await site.ask(lost.id_token, getUserAttributes, {})).message, /void/);
  assert.ok((await site.ask(kept.id_token, getUserAttributes, {})).success);
  assert.ok((await site.renew(kept.refresh_token)).id_token);
  assert.equal((await listOf(site, kept.id_token)).filter(({ kind }) => kind === 'program').length, 1);
});

test('a token that was made by a renewal is of the same login', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const first = await site.logIn('alice');
  const renewed = await site.renew(first.refresh_token);
  const programs = (await listOf(site, renewed.id_token)).filter(({ kind }) => kind === 'program');
  assert.deepEqual(
    programs.map(({ current }) => current),
    [true],
  );
  await site.ask(renewed.id_token, calls.endLogin, { id: programs[0]?.id ?? '' });
  offset = ACCOUNT_RECHECK_SECONDS * 1000;
  for (const token of [first.id_token, renewed.id_token])
    assert.match((await site.ask(token, getUserAttributes, {})).message, /void/);
});

test('nobody sees or ends the login of another person', async (t) => {
  const site = await startLoginSite(t, { users: ['alice', 'bob'] });
  const [alice, bob] = [await site.logIn('alice'), await site.logIn('bob')];
  const [own] = await listOf(site, alice.id_token);
  const { success, message } = await site.ask(bob.id_token, calls.endLogin, { id: own?.id ?? '' });
  assert.ok(!success);
  assert.match(message, /you have no login/);
  assert.ok((await site.renew(alice.refresh_token)).id_token);
});

test('all logins end at once, with every token', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const { id_token, refresh_token } = await site.logIn('alice');
  const printed = await site.userToken('alice');
  offset = 1000;
  assert.ok((await site.ask(printed, calls.endAllLogins, {})).success);
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  offset += ACCOUNT_RECHECK_SECONDS * 1000;
  for (const token of [id_token, printed]) assert.match((await site.ask(token, getUserAttributes, {})).message, /void/);
});

test('somebody changes their password with the current one, and all logins end', async (t) => {
  const site = await startLoginSite(t);
  const { id_token, refresh_token } = await site.logIn('alice');
  const change = (current: string, password: string) => site.ask(id_token, calls.changePassword, { current, password });
  assert.match((await change('not the password', NEW_PASSWORD)).message, /the current password is wrong/);
  assert.match((await change(PASSWORD, 'short')).message, /at least/);
  assert.match((await change(PASSWORD, PASSWORD)).message, /choose another/);
  assert.ok((await change(PASSWORD, NEW_PASSWORD)).success);
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  await site.signIn.signIn('alice', NEW_PASSWORD);
});

test('a stolen token guesses no password: wrong ones count as tries to sign in', async (t) => {
  const site = await startLoginSite(t);
  const token = await site.userToken('alice');
  for (let tries = 0; tries < MAX_SIGN_IN_FAILURES; tries++) {
    await site.ask(token, calls.changePassword, { current: 'wrong password', password: NEW_PASSWORD });
  }
  const { message } = await site.ask(token, calls.changePassword, { current: PASSWORD, password: NEW_PASSWORD });
  assert.match(message, /too many wrong passwords/);
});

test('a token alone sets no password where none was chosen', async (t) => {
  const site = await startLoginSite(t);
  const token = await site.userToken('carol');
  const { success, message } = await site.ask(token, calls.changePassword, { current: '', password: NEW_PASSWORD });
  assert.ok(!success);
  assert.match(message, /no password so far/);
});

async function listOf(site: LoginSite, token: string): Promise<ListedLogin[]> {
  return (await site.ask(token, calls.listLogins, {})).data as ListedLogin[];
}

test('pbook shows logins, ends one, and changes the password', async (t) => {
  const site = await startLoginSite(t);
  const { id_token } = await site.logIn('alice');
  const home = await makeHome(t, site.url, { PANDA_AUTH_ID_TOKEN: id_token, COLUMNS: '200' });
  const { stdout } = await home.pbook('logins');
  assert.match(stdout, /PanDA command line \(pbook, prun\) \(this one\) .*127\.0\.0\.1/);
  const logins = JSON.parse((await home.pbook('logins', '--json')).stdout).data as ListedLogin[];
  const browser = logins.find(({ kind }) => kind === 'browser')?.id ?? '';
  assert.equal((await home.pbook('logins', 'end', browser)).stdout, `INFO : ended ${browser}\n`);
  assert.match((await home.pbook('logins', 'end', browser)).stderr, /you have no login/);
  for (const args of [[], [browser, '--all']]) assert.equal((await home.pbook('logins', 'end', ...args)).status, 2);
  assert.equal((await home.pbook('password')).status, 2);
  const wrong = await home.pbookWith('wrong password\nanother long password\n', 'password', '--stdin');
  assert.match(wrong.stderr, /the current password is wrong/);
  const done = await home.pbookWith(`${PASSWORD}\nanother long password\n`, 'password', '--stdin');
  assert.equal(done.stdout, 'INFO : your password is changed\n');
  await site.signIn.signIn('alice', 'another long password');
});

test('a program is listed with the name of its machine', async (t) => {
  const site = await startLoginSite(t);
  const home = await makeHome(t, site.url);
  const { address, ended } = await home.startLogin();
  const code = new URL(address).searchParams.get('user_code') ?? '';
  await confirmDevice(createVisitor(site.url), { verification_uri_complete: address, user_code: code }, 'alice');
  assert.equal((await ended).status, 0);
  const logins = JSON.parse((await home.pbook('logins', '--json')).stdout).data as ListedLogin[];
  assert.equal(logins.find(({ current }) => current)?.device, hostname());
});

test('pbook login says when its code was used elsewhere', async (t) => {
  const site = await startLoginSite(t);
  const home = await makeHome(t, site.url);
  const { address, ended } = await home.startLogin();
  await site.store.write((tx) =>
    tx.updateTable('provider_records').set({ consumed_at: Date.now() }).where('model', '=', 'DeviceCode').execute(),
  );
  const code = new URL(address).searchParams.get('user_code') ?? '';
  await confirmDevice(createVisitor(site.url), { verification_uri_complete: address, user_code: code }, 'alice');
  const { status, stderr } = await ended;
  assert.equal(status, 1);
  assert.match(stderr, /the code of this login was used by another program/);
});
