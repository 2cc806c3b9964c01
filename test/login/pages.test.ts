import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { addAccount } from '../../src/identity/accounts.ts';
import { MAX_FORMS_PER_MINUTE, MAX_SIGN_IN_FAILURES } from '../../src/protocol/limits.ts';
import { startServer } from '../server/start.ts';
import { onPostgres } from '../stores.ts';
import { confirmDevice, type LoginSite, PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor, hiddenField, type Visitor } from './visitor.ts';

const VERIFIER = 'a-verifier-that-is-long-enough-for-pkce-to-take';
const REDIRECT = 'http://127.0.0.1:45678/callback';

test('a program on the same machine is given a code after the person allowed it', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const consent = await signIn(visitor, await visitor.get(authorization(site)));
  assert.match(consent.html, /Allow PanDA command line/);
  assert.match(consent.html, /Alice Doe/);
  const answer = await visitor.submit(consent.url, { action: 'allow' });
  const { origin, searchParams } = new URL(answer.url);
  assert.equal(origin, new URL(REDIRECT).origin);
  assert.equal(searchParams.get('state'), 'the-state');
  const code = searchParams.get('code') ?? '';
  assert.ok((await exchange(site, code)).id_token);
  assert.equal((await exchange(site, code)).error, 'invalid_grant');
});

test('a person who cancels sends the program back without a code', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const page = await visitor.get(authorization(site));
  const answer = await visitor.submit(page.url, { action: 'cancel' });
  assert.equal(new URL(answer.url).searchParams.get('error'), 'access_denied');
});

test('a code is worth nothing without its verifier, and none is given without a challenge', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const consent = await signIn(visitor, await visitor.get(authorization(site)));
  const { url } = await visitor.submit(consent.url, { action: 'allow' });
  const code = new URL(url).searchParams.get('code') ?? '';
  assert.equal((await exchange(site, code, 'another-verifier-that-is-just-as-long-as-that')).error, 'invalid_grant');
  const refused = await visitor.get(authorization(site, { code_challenge: '', code_challenge_method: '' }));
  assert.equal(new URL(refused.url).searchParams.get('error'), 'invalid_request');
});

for (const target of [
  'https://evil.example/callback',
  'http://127.0.0.1.evil.example/callback',
  'http://127.0.0.1:80@evil.example/callback',
  'http://127.0.0.1:45678/callback/../../evil',
  'http://127.0.0.1:45678/other',
  '//evil.example/callback',
  'javascript:alert(1)',
]) {
  test(`nobody is sent on to ${target}`, async (t) => {
    const site = await startLoginSite(t, { users: [] });
    const visit = await createVisitor(site.url).get(authorization(site, { redirect_uri: target }));
    assert.equal(new URL(visit.url).origin, site.url);
    assert.equal(visit.status, 400);
    assert.match(visit.html, /Something went wrong/);
  });
}

test('signing out leads to no other site', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const query = new URLSearchParams({ client_id: 'pbook', post_logout_redirect_uri: 'https://evil.example/' });
  const visit = await createVisitor(site.url).get(`/oidc/sign-out?${query}`);
  assert.equal(new URL(visit.url).origin, site.url);
});

test("the sign-in form is taken from the site's own page alone", async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const { url } = await visitor.get(authorization(site));
  const form = { name: 'alice', password: PASSWORD, action: 'sign-in' };
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: site.url },
  ] as Record<string, string>[]) {
    const refused = await visitor.submit(url, form, headers);
    assert.equal(refused.status, 403, JSON.stringify(headers));
  }
  const own = await visitor.submit(url, form, { origin: site.url, 'sec-fetch-site': 'same-origin' });
  assert.match(own.html, /Allow/);
});

test('the sign-in form of one browser is none of another', async (t) => {
  const site = await startLoginSite(t);
  const { url } = await createVisitor(site.url).get(authorization(site));
  const other = createVisitor(site.url);
  assert.equal((await other.get(url)).status, 404);
  assert.equal((await other.submit(url, { name: 'alice', password: PASSWORD, action: 'sign-in' })).status, 404);
  await other.get(authorization(site));
  assert.equal((await other.get(url)).status, 404);
});

test('a device is connected by the form of the own browser alone', async (t) => {
  const site = await startLoginSite(t);
  const begun = await site.beginLogin();
  const visitor = createVisitor(site.url);
  const attacker = createVisitor(site.url);
  for (const one of [visitor, attacker]) await one.submit('/sign-in', { name: 'alice', password: PASSWORD });
  await visitor.get(begun.verification_uri_complete);
  const xsrf = hiddenField((await attacker.get(begun.verification_uri_complete)).html, 'xsrf');
  for (const forged of ['', 'x', xsrf]) {
    const refused = await visitor.submit('/device', { xsrf: forged, user_code: begun.user_code, confirm: 'yes' });
    assert.equal(refused.status, 400);
    assert.match(refused.html, /This page has expired/);
  }
  assert.equal((await site.takeTokens(begun.device_code)).error, 'authorization_pending');
});

test("an address behind a page of a login without its browser's session is no fault of the server's", async (t) => {
  const site = await startLoginSite(t, { users: [], logLevel: 'error' });
  for (const [path, status] of [
    ['/device/ANYTHING', 400],
    ['/device/a%20b', 400],
    ['/device/ANYTHING?client_id=pbook', 400],
    ['/oidc/authorize/ANYTHING', 400],
    ['/oidc/authorize/ANYTHING?client_id=pbook', 400],
    ['/oidc/authorize/ANYTHING?client_id=pbook&redirect_uri=x&response_type=code&scope=openid', 400],
  ] as const) {
    const answer = await fetch(new URL(path, site.url), { headers: { accept: 'text/html' } });
    assert.equal(answer.status, status, path);
    assert.match(await answer.text(), /This link has expired/);
  }
  assert.equal(site.logs(), '');
});

test('a browser that leaves before its answer is no fault of the server', async (t) => {
  const site = await startLoginSite(t, { users: [], logLevel: 'error' });
  const { port } = new URL(site.url);
  const body = 'client_id=pbook&scope=openid';
  const request = `POST /oidc/device HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  for (let n = 0; n < 150; n++) {
    // Each address may begin a number of logins only.
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: `127.0.1.${1 + (n % 50)}` });
    await once(socket, 'connect');
    socket.write(request);
    for (let turn = 0; turn < n % 15; turn++) await setImmediate();
    socket.resetAndDestroy();
  }
  await fetch(new URL('/oidc/jwks', site.url));
  assert.equal(site.logs(), '');
});

test("the form of a code without its browser's session starts over", async (t) => {
  const site = await startLoginSite(t, { users: [], logLevel: 'error' });
  const form = new URLSearchParams({ user_code: 'BCDF-GHJK', xsrf: 'none' });
  const answer = await fetch(new URL('/device', site.url), { method: 'POST', body: form, redirect: 'manual' });
  assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/sign-in?device=']);
  assert.equal(site.logs(), '');
});

test('a wrong name and a wrong password are answered alike', async (t) => {
  const site = await startLoginSite(t);
  const pages: string[] = [];
  for (const [name, password] of [
    ['alice', 'wrong'],
    ['nobody', 'wrong'],
    ["a' or 1=1 --", 'wrong'],
  ] as const) {
    const html = await confirmDevice(createVisitor(site.url), await site.beginLogin(), name, password);
    pages.push(html.replace(/value="[^"]*" autocomplete="username"/, ''));
  }
  assert.match(pages[0] ?? '', /The name or the password is wrong/);
  assert.equal(pages[1], pages[0]);
  assert.equal(pages[2], pages[0]);
});

test("a sign-in that fails is logged with its address, which fail2ban's rule of the manual finds, and without what was typed", async (t) => {
  const site = await startLoginSite(t);
  const names = ['alice', 'my-own-password', 'alice', '","from":"192.0.2.7'];
  for (const name of names) await confirmDevice(createVisitor(site.url), await site.beginLogin(), name, 'wrong');
  await confirmDevice(createVisitor(site.url), await site.beginLogin(), 'alice');
  const manual = readFileSync(join(import.meta.dirname, '../../docs/operator-reference.md'), 'utf8');
  const [, rule = ''] = /^failregex = (.*)$/m.exec(manual) ?? [];
  const regex = new RegExp(rule.replace('<HOST>', '(?<host>[0-9a-fA-F:.]+)'));
  // fail2ban takes the time out of a line before it looks for the rest.
  const lines = site
    .logs()
    .split('\n')
    .map((line) => line.replace(/"time":"[^"]*"/, ''));
  const found = lines.filter((line) => regex.test(line));
  assert.deepEqual(
    found.map((line) => regex.exec(line)?.groups?.['host']),
    names.map(() => '127.0.0.1'),
  );
  const marks = found.map((line) => JSON.parse(line.replace('40,,', '40,')).name);
  assert.equal(marks[0], marks[2]);
  assert.equal(new Set(marks).size, 3);
  for (const name of names) assert.ok(!site.logs().includes(`"${name}"`));
  assert.ok(!site.logs().includes('my-own-password'));
});

test('after too many wrong passwords not even the right one is taken, for that name alone', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { users: ['alice', 'bob'], clock: () => Date.now() + offset });
  const wrong = Array.from({ length: MAX_SIGN_IN_FAILURES }, () => site.signIn.signIn('alice', 'wrong'));
  for (const { status } of await Promise.allSettled(wrong)) assert.equal(status, 'rejected');
  const refused = await confirmDevice(createVisitor(site.url), await site.beginLogin(), 'alice');
  assert.match(refused, /Too many wrong passwords for this name: try again in 15 minutes/);
  assert.match(await confirmDevice(createVisitor(site.url), await site.beginLogin(), 'bob'), /You are logged in/);
  offset = 15 * 60_000;
  assert.match(await confirmDevice(createVisitor(site.url), await site.beginLogin(), 'alice'), /You are logged in/);
});

test('one address cannot try many codes', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const visitor = createVisitor(site.url);
  const xsrf = hiddenField((await visitor.get('/device')).html, 'xsrf');
  const tries = Array.from({ length: MAX_FORMS_PER_MINUTE }, () =>
    visitor.submit('/device', { xsrf, user_code: 'BCDF-GHJK' }),
  );
  const last = (await Promise.all(tries)).find(({ status }) => status === 429);
  assert.ok(last);
  assert.match(last.html, /Too many requests from your address/);
  assert.ok(Number(last.headers.get('retry-after')) > 0);
});

test('one address cannot fill the database with sign-outs of nobody', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const asked = Array.from({ length: MAX_FORMS_PER_MINUTE + 20 }, () => fetch(new URL('/oidc/sign-out', site.url)));
  const refused = (await Promise.all(asked)).filter(({ status }) => status === 429);
  assert.equal(refused.length, 20);
  const kept = await site.store.db.selectFrom('provider_records').select('model').execute();
  assert.ok(kept.length <= MAX_FORMS_PER_MINUTE, `${kept.length} records`);
});

test('every page forbids scripts, frames and forms to elsewhere, and is kept by nobody', async (t) => {
  const site = await startLoginSite(t);
  const visitor = createVisitor(site.url);
  const begun = await site.beginLogin();
  const pages = [
    await visitor.get('/device'),
    await visitor.get(begun.verification_uri_complete),
    await visitor.get(authorization(site)),
    await visitor.get('/oidc/interaction/none'),
    await visitor.get(`/password/${await site.signIn.createPasswordLink('alice')}`),
    await visitor.get('/password/none'),
    await visitor.get('/oidc/authorize?client_id=none'),
  ];
  for (const { url, headers, html } of pages) {
    const policy = headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/, url);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, /form-action 'self'/);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.doesNotMatch(html, /<script|\son\w+=|javascript:/i);
  }
});

test('a name is shown as it is, whatever is in it', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  await addAccount(site.store, Date.now, 'eve', '<img src=x onerror=alert(1)>"\'&');
  await site.signIn.setPassword('eve', PASSWORD);
  const visitor = createVisitor(site.url);
  const consent = await signIn(visitor, await visitor.get(authorization(site)), 'eve');
  assert.match(consent.html, /&lt;img src=x onerror=alert\(1\)&gt;&quot;&#39;&amp;/);
});

test("the addresses that a login is given are the server's own, whatever Host the request names", async (t) => {
  const site = await startLoginSite(t, { users: [], settings: { publicUrl: 'https://panda.example.org' } });
  const { request } = await import('node:http');
  const body = 'client_id=pbook&scope=openid';
  const text = await new Promise<string>((resolve, reject) => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    };
    const sent = request(`${site.url}/oidc/device`, { method: 'POST', headers }, async (response) => {
      let answer = '';
      for await (const chunk of response) answer += chunk;
      resolve(answer);
    });
    sent.on('error', reject).end(body);
  });
  assert.equal(JSON.parse(text).verification_uri, 'https://panda.example.org/device');
  assert.ok(!text.includes('evil'));
});

test('behind a proxy that ends TLS cookies are for https alone, and others do not get in', async (t) => {
  const site = await startLoginSite(t, {
    settings: { publicUrl: 'https://panda.example.org', trustedProxies: ['127.0.0.1'] },
  });
  const forwarded = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' };
  const form = { method: 'POST', headers: forwarded, redirect: 'manual' } as const;
  const body = new URLSearchParams({ name: 'alice', password: PASSWORD });
  const signedIn = await fetch(`${site.url}/sign-in`, { ...form, body });
  assert.equal(signedIn.status, 303);
  const cookies = signedIn.headers.getSetCookie();
  assert.ok(cookies.length > 0);
  for (const cookie of cookies) assert.match(cookie, /; samesite=lax; secure; httponly/i);
  const plain = await fetch(`${site.url}/device`, { headers: { ...forwarded, 'x-forwarded-proto': 'http' } });
  assert.equal(plain.status, 403);
});

test('a password is chosen by a link, once', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  await addAccount(site.store, Date.now, 'carol');
  const path = `/password/${await site.signIn.createPasswordLink('carol')}`;
  const visitor = createVisitor(site.url);
  for (let look = 0; look < 2; look++) assert.match((await visitor.get(path)).html, /Choose a password/);
  const password = 'a new long password';
  assert.match((await visitor.submit(path, { password: 'short', again: 'short' })).html, /at least 12 characters/);
  assert.match((await visitor.submit(path, { password, again: `${password}x` })).html, /the two passwords differ/i);
  const forged = await visitor.submit(path, { password, again: password }, { origin: 'https://evil.example' });
  assert.equal(forged.status, 403);
  assert.match((await visitor.submit(path, { password, again: password })).html, /Your password is set/);
  assert.equal((await visitor.submit(path, { password, again: password })).status, 404);
  assert.equal((await site.signIn.signIn('carol', password)).name, 'carol');
});

test('a link to choose a password ends', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { users: [], clock: () => Date.now() + offset });
  await addAccount(site.store, Date.now, 'carol');
  const path = `/password/${await site.signIn.createPasswordLink('carol')}`;
  offset = 24 * 3600_000;
  assert.equal((await createVisitor(site.url).get(path)).status, 404);
});

test('clients are told where the members of the VO log in, and that others do not', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const answer = await fetch(`${site.url}/auth/panda_auth_config.json`);
  assert.deepEqual(await answer.json(), {
    client_id: 'pbook',
    client_secret: '',
    audience: site.url,
    oidc_config_url: `${site.url}/.well-known/openid-configuration`,
    vo: 'panda',
    no_verify: false,
    robot_ids: '',
  });
  assert.equal((await fetch(`${site.url}/auth/atlas_auth_config.json`)).status, 404);
});

function authorization({ url }: LoginSite, changes: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    client_id: 'pbook',
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid profile offline_access',
    prompt: 'consent',
    state: 'the-state',
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
    ...changes,
  });
  for (const [name, value] of Object.entries(changes)) if (value === '') query.delete(name);
  return `${url}/oidc/authorize?${query}`;
}

function signIn(visitor: Visitor, page: { url: string }, name = 'alice') {
  return visitor.submit(page.url, { name, password: PASSWORD, action: 'sign-in' });
}

async function exchange({ url }: LoginSite, code: string, verifier = VERIFIER) {
  const answer = await fetch(`${url}/oidc/token`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: 'pbook',
      grant_type: 'authorization_code',
      code,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
    }),
  });
  return (await answer.json()) as { id_token?: string; error?: string };
}

onPostgres('two servers of one database count the codes of one address together', async (t, database) => {
  const settings = { data: join(database.folder, 'data'), database: database.url ?? '' };
  const first = await startServer(t, { settings });
  const second = await startServer(t, { settings });
  const status = async ({ url }: { url: string }) => {
    const form = { method: 'POST', body: new URLSearchParams({ user_code: 'AAAA-AAAA' }) };
    return (await fetch(`${url}/device`, { ...form, redirect: 'manual' })).status;
  };
  for (let n = 0; n < MAX_FORMS_PER_MINUTE; n++) assert.notEqual(await status(n % 2 ? first : second), 429);
  assert.equal(await status(first), 429);
  assert.equal(await status(second), 429);
});
