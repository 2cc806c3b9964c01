import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditEntries, SYSTEM } from '../../src/audit/audit.ts';
import { MAX_SIGN_IN_FAILURES } from '../../src/protocol/limits.ts';
import { findAccount } from '../../src/store/accounts.ts';
import { PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor, hiddenField, type Visit, type Visitor } from './visitor.ts';

const NEW_PASSWORD = 'another long password';
const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36';

test('somebody sees what is logged in as them, and ends one of it', async (t) => {
  const site = await startLoginSite(t);
  const lost = await site.logIn('alice');
  const visitor = createVisitor(site.url);
  const home = await signIn(visitor);
  const [program] = rowsOf(home).filter((row) => row.includes('PanDA command line (pbook, prun)'));
  assert.match(program ?? '', /From 127\.0\.0\.1\. Since <time datetime="\d{4}-/);
  const [own] = rowsOf(home).filter((row) => row.includes('this browser'));
  assert.match(own ?? '', /Chrome on Linux/);
  assert.match(own ?? '', /Sign out/);
  const form = { login: hiddenField(program ?? '', 'login'), form_token: hiddenField(home.html, 'form_token') };
  const after = await visitor.submit('/logins/end', form);
  assert.match(after.html, /role="status">That login was ended/);
  assert.ok(!rowsOf(after).some((row) => row.includes('PanDA command line')));
  assert.equal((await site.renew(lost.refresh_token)).error, 'invalid_grant');
  // Sent twice, by a double click: the second finds it ended.
  assert.equal((await visitor.submit('/logins/end', form)).status, 200);
  const ends: unknown[] = [];
  for await (const { action, actor, detail } of auditEntries(site.store, SYSTEM)) {
    if (action === 'login.end') ends.push([actor, detail]);
  }
  const subject = (await findAccount(site.store.db, 'alice'))?.subject;
  assert.deepEqual(ends, [[`account:${subject}`, { account: subject, login: form.login }]]);
});

test('all logins end at once, this browser too', async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token } = await site.logIn('alice');
  const visitor = createVisitor(site.url);
  const home = await signIn(visitor);
  const after = await visitor.submit('/logins/end-all', { form_token: hiddenField(home.html, 'form_token') });
  assert.equal(after.url, `${site.url}/sign-in`);
  assert.match((await visitor.get('/')).html, /Secrets for your jobs/);
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
});

test('somebody changes their password, which ends every login', async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token } = await site.logIn('alice');
  const visitor = createVisitor(site.url);
  await signIn(visitor);
  const page = await visitor.get('/account/password');
  const form = { form_token: hiddenField(page.html, 'form_token'), password: NEW_PASSWORD, again: NEW_PASSWORD };
  for (const [changes, said] of [
    [{ current: 'not it at all' }, /alert">The current password is wrong/],
    [{ current: PASSWORD, again: 'x' }, /alert">The two passwords differ/],
    [{ current: PASSWORD, password: 'short', again: 'short' }, /alert">A password needs at least 12/],
  ] as [Record<string, string>, RegExp][]) {
    const refused = await visitor.submit('/account/password', { ...form, ...changes });
    assert.equal(refused.status, 400);
    assert.match(refused.html, said);
    for (const typed of [PASSWORD, NEW_PASSWORD]) assert.ok(!refused.html.includes(typed));
  }
  assert.match(
    (await visitor.submit('/account/password', { ...form, current: PASSWORD })).html,
    /Your password is set/,
  );
  assert.match((await visitor.get('/')).html, /Secrets for your jobs/);
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  assert.match((await signIn(visitor, NEW_PASSWORD)).html, /Alice Doe/);
});

test('an open browser is not enough to find out or change a password', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  await signIn(visitor);
  const { html } = await visitor.get('/account/password');
  const form = { form_token: hiddenField(html, 'form_token'), password: NEW_PASSWORD, again: NEW_PASSWORD };
  for (let n = 0; n < MAX_SIGN_IN_FAILURES; n++) {
    await visitor.submit('/account/password', { ...form, current: `guess number ${n}` });
  }
  const refused = await visitor.submit('/account/password', { ...form, current: PASSWORD });
  assert.equal(refused.status, 429);
  assert.match(refused.html, /Too many wrong passwords/);
});

test("the account's forms are taken from a page of this browser's session alone", async (t) => {
  const site = await startLoginSite(t, { users: ['alice', 'bob'] });
  const { refresh_token } = await site.logIn('alice');
  const visitor = createVisitor(site.url);
  const other = createVisitor(site.url);
  const home = await signIn(visitor);
  const others = [hiddenField((await signIn(other, PASSWORD, 'bob')).html, 'form_token'), '', 'x'];
  const login = hiddenField(home.html, 'login');
  const form_token = hiddenField(home.html, 'form_token');
  for (const path of ['/logins/end', '/logins/end-all', '/account/password']) {
    const form = { login, current: PASSWORD, password: NEW_PASSWORD, again: NEW_PASSWORD };
    for (const forged of others) {
      assert.equal((await visitor.submit(path, { ...form, form_token: forged })).status, 403, `${path} ${forged}`);
    }
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'same-site' }] as Record<
      string,
      string
    >[])
      assert.equal((await visitor.submit(path, { ...form, form_token }, headers)).status, 403);
    const nobody = await createVisitor(site.url).submit(path, { ...form, form_token });
    assert.match(nobody.url, /\/sign-in$/);
  }
  // Another person's login is none of bob's, whatever his form says.
  await other.submit('/logins/end', { login, form_token: others[0] ?? '' });
  assert.ok((await site.renew(refresh_token)).id_token);
  assert.match((await visitor.get('/')).html, /Alice Doe/);
});

test('a program says what it likes about itself, and it is shown as it is', async (t) => {
  const site = await startLoginSite(t, { users: ['alice'] });
  const visitor = createVisitor(site.url);
  const home = await visitor.submit('/sign-in', { name: 'alice', password: PASSWORD }, { 'user-agent': '<b>"x"' });
  assert.match(home.html, /&lt;b&gt;&quot;x&quot;/);
});

function signIn(visitor: Visitor, password = PASSWORD, name = 'alice') {
  return visitor.submit('/sign-in', { name, password }, { 'user-agent': CHROME });
}

function rowsOf({ html }: Visit): string[] {
  const list = /<ul class="rows">(.*?)<\/ul>/s.exec(html)?.[1] ?? '';
  return list.split('<li>').slice(1);
}
