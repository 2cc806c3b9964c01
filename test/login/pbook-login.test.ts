import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RENEWAL_SECONDS } from '../../src/protocol/limits.ts';
import { LOOPBACK } from '../client/certificates.ts';
import { type Home, makeHome } from './command-line.ts';
import { claims, confirmDevice, type LoginSite, PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor } from './visitor.ts';

/** The age of a login of an hour at which it has to be renewed. */
const ENDING = 3600 - RENEWAL_SECONDS + 10;

test('pbook logs in by a code that somebody confirms, and then is that person', async (t) => {
  const site = await startLoginSite(t);
  const home = await makeHome(t, site.url);
  const { address, code, ended } = await home.startLogin();
  assert.match(address, /\/device\?user_code=/);
  await confirmDevice(createVisitor(site.url), { verification_uri_complete: address, user_code: code }, 'alice');
  const { status, stdout, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'INFO : logged in\n');
  assert.equal((await home.pbook('whoami')).stdout, 'alice (Alice Doe)\n');
  assert.equal((await home.pbook('set_secret', 'KEY', 'a value')).status, 0);
});

test("a login is kept for its owner alone, in the form of PanDA's own client", async (t) => {
  const { home } = await loggedIn(t);
  assert.equal(statSync(home.tokenFile).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(home.tokenFile)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(home.tokenFile)), ['.token']);
  const { id_token, refresh_token } = home.login();
  assert.equal(claims(id_token)['preferred_username'], 'alice');
  assert.ok(refresh_token);
});

test('somebody who refuses in the browser is not logged in', async (t) => {
  const site = await startLoginSite(t);
  const home = await makeHome(t, site.url);
  const { address, code, ended } = await home.startLogin();
  const visitor = createVisitor(site.url);
  await visitor.submit('/sign-in', { name: 'alice', password: PASSWORD });
  const { html } = await visitor.get(address);
  const xsrf = /name="xsrf" value="([^"]*)"/.exec(html)?.[1] ?? '';
  await visitor.submit('/device', { xsrf, user_code: code, abort: 'yes' });
  const { status, stderr } = await ended;
  assert.equal(status, 1);
  assert.match(stderr, /ERROR : the login was cancelled in the browser\n$/);
  assert.ok(!existsSync(home.tokenFile));
});

test('without a login a command says how to log in, and asks nothing where nobody answers', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const { status, stderr } = await (await makeHome(t, site.url)).pbook('list_secrets');
  assert.equal(status, 1);
  assert.match(stderr, /you are not logged in.*pbook login/);
});

test('a login that ends soon is renewed by one of five commands at once, and all of them work', async (t) => {
  const { site, home } = await loggedIn(t);
  const before = home.login();
  home.age(ENDING);
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => home.pbook('whoami')));
  for (const { status, stderr } of outcomes) assert.equal(status, 0, stderr);
  const after = home.login();
  assert.notEqual(after.refresh_token, before.refresh_token);
  assert.ok((await site.renew(after.refresh_token)).id_token, 'the login goes on');
  assert.deepEqual(readdirSync(dirname(home.tokenFile)), ['.token']);
});

test('a login whose refresh token another program has used is taken as that program kept it', async (t) => {
  const { site, home } = await loggedIn(t);
  const renewed = await site.renew(home.login().refresh_token);
  writeFileSync(home.tokenFile, JSON.stringify(renewed));
  assert.equal((await home.pbook('whoami')).status, 0);
});

test('an ending login is used to its end when the issuer cannot renew it', async (t) => {
  const { site, home } = await loggedIn(t);
  await site.store.write((tx) => tx.deleteFrom('provider_records').where('model', '=', 'RefreshToken').execute());
  home.age(ENDING);
  assert.equal((await home.pbook('whoami')).status, 0);
  home.age(3601);
  const { status, stderr } = await home.pbook('whoami');
  assert.equal(status, 1);
  assert.match(stderr, /your login has ended: log in again with "pbook login"/);
});

test('logging out removes the login here and at the issuer', async (t) => {
  const { site, home } = await loggedIn(t);
  const { refresh_token } = home.login();
  assert.equal((await home.pbook('logout')).stdout, 'INFO : logged out\n');
  assert.ok(!existsSync(home.tokenFile));
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  assert.equal((await home.pbook('logout')).stdout, 'INFO : you were not logged in\n');
});

test('logging out works while the server is down, and says what that leaves', async (t) => {
  const { site, home } = await loggedIn(t);
  await site.stop();
  const { status, stdout, stderr } = await home.pbook('logout');
  assert.deepEqual([status, stdout], [0, 'INFO : logged out here\n']);
  assert.match(stderr, /the issuer was not told/);
  assert.ok(!existsSync(home.tokenFile));
});

test('who names a VO that is not here is told so', async (t) => {
  const site = await startLoginSite(t, { users: [] });
  const home = await makeHome(t, site.url, { PANDA_AUTH_VO: 'atlas' });
  const { status, stderr } = await home.pbook('login');
  assert.equal(status, 1);
  assert.match(stderr, /no login for the VO "atlas": set PANDA_AUTH_VO/);
});

test('the login goes over https, to a server whose certificate is trusted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'login-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  writeFileSync(files.certFile, LOOPBACK.cert);
  writeFileSync(files.keyFile, LOOPBACK.key, { mode: 0o600 });
  const site = await startLoginSite(t, { users: [], settings: { tls: files } });
  const vo = { PANDA_AUTH_VO: 'atlas' };
  const stranger = await (await makeHome(t, site.url, vo)).pbook('login');
  assert.match(stranger.stderr, /certificate that is not trusted here/);
  const known = await (await makeHome(t, site.url, { ...vo, SSL_CERT_FILE: files.certFile })).pbook('login');
  assert.match(known.stderr, /no login for the VO "atlas"/);
});

test('a login beside a token in the environment warns that the token goes first', async (t) => {
  const { site, home } = await loggedIn(t);
  const other = await makeHome(t, site.url, { PANDA_AUTH_ID_TOKEN: home.login().id_token });
  const { stderr } = await other.pbook('logout');
  assert.match(stderr, /PANDA_AUTH_ID_TOKEN.* is set/);
});

async function loggedIn(t: TestContext): Promise<{ site: LoginSite; home: Home }> {
  const site = await startLoginSite(t);
  const home = await makeHome(t, site.url);
  const { writeLogin } = await import('../../src/client/login/write-login.ts');
  await writeLogin(home.tokenFile, await site.logIn('alice'));
  return { site, home };
}
