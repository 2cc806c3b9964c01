import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { disableAccount } from '../../src/identity/accounts.ts';
import { rotateSigningKey } from '../../src/identity/signing-keys.ts';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { getUserAttributes } from '../../src/protocol/calls/system.ts';
import { ACCOUNT_RECHECK_SECONDS, SIGNING_KEYS_RECHECK_SECONDS } from '../../src/protocol/limits.ts';
import { claims, confirmDevice, PASSWORD, startLoginSite } from './login-site.ts';
import { createVisitor } from './visitor.ts';

test('who logs in with a browser owns what they kept with a token of the operator', async (t) => {
  const site = await startLoginSite(t);
  const operators = await site.userToken('alice');
  await site.ask(operators, setUserSecrets, { key: 'MY_SECRET', value: 'random_string' });
  const { id_token } = await site.logIn('alice');
  const { data } = await site.ask(id_token, getUserSecrets, {});
  assert.deepEqual(JSON.parse(String(data)), { MY_SECRET: 'random_string' });
});

test('an ID token says who it is as PanDA reads it', async (t) => {
  const site = await startLoginSite(t);
  const { id_token } = await site.logIn('alice');
  assert.equal(decodeProtectedHeader(id_token).alg, 'RS256');
  const { iss, aud, name, preferred_username, groups, sub } = claims(id_token);
  assert.deepEqual(
    { iss, aud, name, preferred_username, groups },
    { iss: site.url, aud: 'pbook', name: 'Alice Doe', preferred_username: 'alice', groups: ['panda'] },
  );
  assert.equal(sub, claims(await site.userToken('alice'))['sub']);
});

test('who asks for the API as a resource is given an access token for it', async (t) => {
  const site = await startLoginSite(t);
  const resource = `${site.url}/api/v1`;
  const begun = await site.beginLogin({ resource, scope: 'openid profile offline_access panda' });
  await confirmDevice(createVisitor(site.url), begun, 'alice');
  const { access_token } = await site.takeTokens(begun.device_code, { resource });
  assert.equal(claims(access_token)['aud'], 'panda-secrets');
  const { success, data } = await site.ask(access_token, getUserAttributes, {});
  assert.ok(success);
  assert.equal((data as { nickname: string }).nickname, 'alice');
});

test('an access token that is for the provider itself calls nothing here, and tells who it is', async (t) => {
  const site = await startLoginSite(t);
  const { access_token } = await site.logIn('alice');
  assert.equal((await site.ask(access_token, getUserAttributes, {})).success, false);
  const answer = await fetch(`${site.url}/oidc/userinfo`, { headers: { authorization: `Bearer ${access_token}` } });
  assert.equal(((await answer.json()) as { preferred_username: string }).preferred_username, 'alice');
});

test('no token is given before somebody confirms, and none after somebody refuses', async (t) => {
  const site = await startLoginSite(t);
  const begun = await site.beginLogin();
  assert.equal((await site.takeTokens(begun.device_code)).error, 'authorization_pending');
  const visitor = createVisitor(site.url);
  await visitor.submit('/sign-in', { name: 'alice', password: PASSWORD });
  const page = await visitor.get(begun.verification_uri_complete);
  const xsrf = /name="xsrf" value="([^"]*)"/.exec(page.html)?.[1] ?? '';
  const refused = await visitor.submit('/device', { xsrf, user_code: begun.user_code, abort: 'yes' });
  assert.match(refused.html, /Not connected/);
  assert.equal((await site.takeTokens(begun.device_code)).error, 'access_denied');
});

test("a scope with a space at its end is taken: PanDA's own client sends one", async (t) => {
  const site = await startLoginSite(t);
  const begun = await site.beginLogin({ scope: 'openid profile email offline_access ' });
  await confirmDevice(createVisitor(site.url), begun, 'alice');
  assert.ok((await site.takeTokens(begun.device_code)).refresh_token);
});

test('a refresh token is good once; who sends one again ends the login', async (t) => {
  const site = await startLoginSite(t);
  const first = await site.logIn('alice');
  const second = await site.renew(first.refresh_token);
  assert.equal(claims(second.id_token)['sub'], claims(first.id_token)['sub']);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal((await site.renew(first.refresh_token)).error, 'invalid_grant');
  assert.equal((await site.renew(second.refresh_token)).error, 'invalid_grant');
});

test('of several that send one refresh token at the same moment, one at most is given tokens', async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token } = await site.logIn('alice');
  const answers = await Promise.all(Array.from({ length: 8 }, () => site.renew(refresh_token)));
  assert.ok(answers.filter(({ id_token }) => id_token).length <= 1);
  assert.ok(answers.every(({ id_token, error }) => id_token || error === 'invalid_grant'));
});

test('a login that was revoked cannot be renewed, and those of other devices go on', async (t) => {
  const site = await startLoginSite(t);
  const here = await site.logIn('alice');
  const there = await site.logIn('alice');
  assert.equal((await site.revoke(here.refresh_token)).status, 200);
  assert.equal((await site.renew(here.refresh_token)).error, 'invalid_grant');
  assert.ok((await site.renew(there.refresh_token)).id_token);
});

test('a new password ends all logins', async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token } = await site.logIn('alice');
  await site.signIn.setPassword('alice', 'another long password');
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
});

test('an account that is disabled is let in nowhere', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const { id_token, refresh_token } = await site.logIn('alice');
  assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
  await disableAccount(site.store, Date.now, 'alice');
  offset = ACCOUNT_RECHECK_SECONDS * 1000;
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  assert.match((await site.ask(id_token, getUserAttributes, {})).message, /disabled or removed/);
  const begun = await site.beginLogin();
  assert.match(await confirmDevice(createVisitor(site.url), begun, 'alice'), /name or the password is wrong/);
});

test('a token that has ended is refused; clocks may differ a little', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const { id_token } = await site.logIn('alice');
  offset = 3600_000 + 20_000;
  assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
  offset = 3600_000 + 60_000;
  assert.match((await site.ask(id_token, getUserAttributes, {})).message, /expired/);
  offset = -20_000;
  assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
});

test('a new signing key is taken up while the server runs, and the older one still counts', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const before = await site.logIn('alice');
  await rotateSigningKey({ ...site.installation, records: site.installation.key, clock: Date.now });
  offset = SIGNING_KEYS_RECHECK_SECONDS * 1000;
  const after = await site.renew(before.refresh_token);
  assert.notEqual(decodeProtectedHeader(after.id_token).kid, decodeProtectedHeader(before.id_token).kid);
  for (const { id_token } of [before, after]) assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
  const { keys } = (await (await fetch(`${site.url}/oidc/jwks`)).json()) as { keys: { kid: string; d?: string }[] };
  assert.equal(keys.length, 2);
  assert.ok(keys.every(({ d }) => d === undefined));
});

test('a signing key that may be in other hands is forgotten with all that it signed', async (t) => {
  let offset = 0;
  const site = await startLoginSite(t, { clock: () => Date.now() + offset });
  const { id_token } = await site.logIn('alice');
  assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
  await rotateSigningKey(
    { ...site.installation, records: site.installation.key, clock: Date.now },
    { forgetOlder: true },
  );
  offset = SIGNING_KEYS_RECHECK_SECONDS * 1000;
  assert.match((await site.ask(id_token, getUserAttributes, {})).message, /does not have/);
});

test('who reads the database finds no token that works, and no password', async (t) => {
  const site = await startLoginSite(t);
  await site.signIn.setPassword('alice', 'correct horse battery');
  const { refresh_token, access_token } = await site.logIn('alice');
  const link = await site.signIn.createPasswordLink('alice');
  const files = readdirSync(site.folder).filter((name) => name.startsWith('panda.db'));
  const bytes = Buffer.concat(files.map((name) => readFileSync(join(site.folder, name))));
  for (const secret of [refresh_token, access_token, link, 'correct horse battery']) assert.ok(!bytes.includes(secret));
});

test('nothing of a login is in the log', async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token, id_token } = await site.logIn('alice');
  const link = await site.signIn.createPasswordLink('alice');
  await fetch(`${site.url}/password/${link}`);
  await site.renew(refresh_token);
  for (const secret of [refresh_token, id_token, link, 'correct horse']) assert.ok(!site.logs().includes(secret));
});
