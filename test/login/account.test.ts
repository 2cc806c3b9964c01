import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disableAccount } from '../../src/identity/accounts.ts';
import { PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor, hiddenField, type Visitor } from './visitor.ts';

test('the start page tells a visitor what this is, and leads to signing in, the documents and the API', async (t) => {
  const site = await startLoginSite(t, { users: [], settings: { siteName: 'Secrets <of> PanDA & Sons' } });
  const { status, html } = await createVisitor(site.url).get('/');
  assert.equal(status, 200);
  assert.match(html, /<title>Secrets for your jobs – Secrets &lt;of&gt; PanDA &amp; Sons<\/title>/);
  assert.ok(html.includes(`PANDA_URL_SSL=${site.url}`));
  for (const href of ['/sign-in', '/docs/using-secrets', '/api/v1/docs'])
    assert.ok(html.includes(`href="${href}"`), href);
});

test('a browser at an address where nothing is gets a page that leads back', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const visit = await createVisitor(site.url).get('/none');
  assert.equal(visit.status, 404);
  assert.match(visit.html, /There is no page at this address.*href="\/"/s);
});

test('the name of the site stands on every page, and leads to its start', async (t) => {
  const site = await startLoginSite(t, { settings: { siteName: 'Our Cluster' } });
  const begun = await site.beginLogin();
  const visitor = createVisitor(site.url);
  const pages = [
    '/',
    '/sign-in',
    '/password/none',
    '/oidc/interaction/none',
    '/oidc/authorize?client_id=none',
    '/device/x',
  ];
  const visits = [];
  for (const path of pages) visits.push(await visitor.get(path));
  visits.push(await signIn(visitor), await visitor.get(begun.verification_uri_complete), await visitor.get('/device'));
  for (const { url, html } of visits) {
    assert.match(html, /<title>[^<]+ – Our Cluster<\/title>/, url);
    assert.match(html, /<a class="brand" href="\/">.*<span>Our Cluster<\/span><\/a>/, url);
  }
});

test('somebody who signs in comes to their account, and is a visitor again after signing out', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const home = await signIn(visitor);
  assert.equal(home.url, `${site.url}/`);
  assert.match(home.html, /<h1>Alice Doe<\/h1>/);
  assert.equal((await visitor.get('/sign-in')).url, home.url);
  const asked = await visitor.get('/oidc/sign-out');
  assert.match(asked.html, /<a class="button quiet" href="\/">Stay signed in/);
  assert.match((await visitor.get('/')).html, /Alice Doe/);
  const xsrf = hiddenField(asked.html, 'xsrf');
  const out = await visitor.submit('/oidc/sign-out/confirm', { xsrf, logout: 'yes' });
  assert.match(out.html, /You are signed out/);
  assert.match((await visitor.get('/')).html, /Secrets for your jobs/);
});

test('a sign-in goes on to two pages of this server, whatever its address says', async (t) => {
  const site = await startLoginSite(t);
  const to = async (query: string) => {
    const body = new URLSearchParams({ name: 'alice', password: PASSWORD });
    const answer = await fetch(`${site.url}/sign-in?${query}`, { method: 'POST', body, redirect: 'manual' });
    return answer.headers.get('location');
  };
  assert.equal(await to('device='), '/device');
  assert.equal(await to('device=BCDF-GHJK'), '/device?user_code=BCDF-GHJK');
  assert.equal(await to('device=//evil.example/%26x=1'), '/device?user_code=%2F%2Fevil.example%2F%26x%3D1');
  for (const query of ['', 'next=//evil.example', 'device=a&device=b']) assert.equal(await to(query), '/', query);
});

test("another site's page signs nobody in", async (t) => {
  const site = await startLoginSite(t);
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }] as Record<
    string,
    string
  >[]) {
    const visitor = createVisitor(site.url);
    const refused = await visitor.submit('/sign-in', { name: 'alice', password: PASSWORD }, headers);
    assert.equal(refused.status, 403);
    assert.doesNotMatch((await visitor.get('/')).html, /Alice/);
  }
});

test('a session that was there before a sign-in is worth nothing after it', async (t) => {
  const site = await startLoginSite(t, { users: ['alice', 'bob'] });
  const visitor = createVisitor(site.url);
  await signIn(visitor, 'bob');
  const before = visitor.cookies();
  await signIn(visitor, 'alice');
  assert.match((await visitor.get('/')).html, /Alice Doe/);
  for (const cookie of before) assert.ok(!visitor.cookies().includes(cookie));
  const answer = await fetch(site.url, { headers: { cookie: before.join('; ') } });
  assert.match(await answer.text(), /Secrets for your jobs/);
});

test('a session that somebody made up, or took from another server, is nobody', async (t) => {
  const site = await startLoginSite(t);
  const other = await startLoginSite(t);
  const visitor = createVisitor(other.url);
  await signIn(visitor);
  for (const cookie of [visitor.cookies().join('; '), 'panda_session=x', 'panda_session=x; panda_session.sig=y']) {
    assert.match(await (await fetch(site.url, { headers: { cookie } })).text(), /Secrets for your jobs/);
  }
});

test('an account that is stopped is signed out everywhere', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  await signIn(visitor);
  await disableAccount(site.store, Date.now, 'alice');
  assert.match((await visitor.get('/')).html, /Secrets for your jobs/);
  const begun = await site.beginLogin();
  assert.match((await visitor.get(begun.verification_uri_complete)).url, /\/sign-in\?device=/);
});

test('somebody who is not signed in learns nothing of a code, and spends none', async (t) => {
  const site = await startLoginSite(t);
  const { user_code, device_code } = await site.beginLogin();
  const visitor = createVisitor(site.url);
  const pages = [];
  for (const code of [user_code, 'BCDF-GHJK']) {
    const linked = await visitor.get(`/device?user_code=${code}`);
    const sent = await visitor.submit('/device', { user_code: code, confirm: 'yes', xsrf: '' });
    pages.push([linked.status, linked.html, sent.status, sent.html]);
  }
  assert.deepEqual(pages[0], pages[1]);
  assert.equal((await site.takeTokens(device_code)).error, 'authorization_pending');
});

test('a device is connected after its program, its address, the account and a warning were shown', async (t) => {
  const site = await startLoginSite(t);
  const { verification_uri_complete, user_code } = await site.beginLogin();
  const visitor = createVisitor(site.url);
  const link = await visitor.get(verification_uri_complete);
  assert.match(link.html, /to connect a program to your account/);
  const { url, html } = await visitor.submit(link.url, { name: 'alice', password: PASSWORD });
  assert.equal(url, verification_uri_complete);
  assert.match(html, /<h1>Connect PanDA command line \(pbook, prun\) at 127\.0\.0\.1 as Alice Doe\?<\/h1>/);
  assert.match(html, /the same as this browser&#39;s|the same as this browser's/);
  assert.ok(html.indexOf(user_code) < html.indexOf('If somebody sent you this link'));
  assert.ok(html.indexOf('If somebody sent you this link') < html.indexOf('>Connect</button>'));
});

test('a confirmation that somebody left does not spend the code', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const site = await startLoginSite(t, { clock: () => Date.now() });
  const visitor = createVisitor(site.url);
  await signIn(visitor);
  // A program may want somebody who has just signed in: after the confirmation they are asked to sign in once more.
  const strict = await site.beginLogin({ max_age: '1' });
  const begun = await site.beginLogin();
  for (const { verification_uri_complete } of [begun, strict, begun]) {
    assert.match((await visitor.get(verification_uri_complete)).html, /<h1>Connect PanDA/);
  }
  t.mock.timers.tick(2000); // The library counts whole seconds.
  for (let look = 0; look < 2; look++) {
    const page = await visitor.get(strict.verification_uri_complete);
    const form = { xsrf: hiddenField(page.html, 'xsrf'), user_code: strict.user_code, confirm: 'yes' };
    assert.match((await visitor.submit('/device', form)).url, /\/oidc\/interaction\//);
  }
  for (const { device_code } of [begun, strict]) {
    assert.equal((await site.takeTokens(device_code)).error, 'authorization_pending');
  }
});

test('a code that was refused, or used, is not taken again', async (t) => {
  const site = await startLoginSite(t);
  const begun = await site.beginLogin();
  const visitor = createVisitor(site.url);
  await signIn(visitor);
  const page = await visitor.get(begun.verification_uri_complete);
  const form = { xsrf: hiddenField(page.html, 'xsrf'), user_code: begun.user_code };
  assert.match((await visitor.submit('/device', { ...form, abort: 'yes' })).html, /Not connected/);
  assert.match((await visitor.get(begun.verification_uri_complete)).html, /This code was used already/);
  assert.equal((await site.takeTokens(begun.device_code)).error, 'access_denied');
});

function signIn(visitor: Visitor, name = 'alice') {
  return visitor.submit('/sign-in', { name, password: PASSWORD });
}
