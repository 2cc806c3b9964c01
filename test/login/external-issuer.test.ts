import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { getUserAttributes } from '../../src/protocol/calls/system.ts';
import { RENEWAL_SECONDS } from '../../src/protocol/limits.ts';
import { makeHome } from './command-line.ts';
import { type LoginSite, startLoginSite } from './login-site.ts';
import { type SiteIssuer, startSiteIssuer } from './site-issuer.ts';

test("pbook logs in at the site's own issuer, and the server takes its tokens", async (t) => {
  const { issuer, site, home } = await trusting(t);
  const { address, code, ended } = await home.startLogin();
  assert.ok(address.startsWith(issuer.url));
  await issuer.confirm(code, 'dora');
  assert.equal((await ended).status, 0);
  const { success, data } = await site.ask(home.login().id_token, getUserAttributes, {});
  assert.ok(success);
  const { issuer: id, display_name, fqans } = data as Record<string, unknown>;
  assert.deepEqual(
    { id, display_name, fqans },
    { id: issuer.url, display_name: 'dora of the site', fqans: ['atlas', 'atlas/production'] },
  );
  assert.equal((await home.pbook('set_secret', 'KEY', 'a value')).status, 0);
});

test('a login there is renewed and ended there', async (t) => {
  const { issuer, home } = await trusting(t);
  const { code, ended } = await home.startLogin();
  await issuer.confirm(code, 'dora');
  await ended;
  const before = readFileSync(home.tokenFile, 'utf8');
  home.age(3600 - RENEWAL_SECONDS + 10);
  assert.equal((await home.pbook('whoami')).status, 0);
  const after = readFileSync(home.tokenFile, 'utf8');
  assert.notEqual(after, before);
  assert.ok(JSON.parse(after).refresh_token, 'an issuer that does not rotate it');
  const { status, stderr } = await home.pbook('logout');
  assert.deepEqual([status, stderr], [0, '']);
});

test('an issuer that is down keeps nobody else out', async (t) => {
  const { issuer, site } = await trusting(t);
  issuer.stop();
  const { id_token } = await site.logIn('alice');
  assert.ok((await site.ask(id_token, getUserAttributes, {})).success);
});

test('a login that cannot reach the issuer says who does not answer', async (t) => {
  const { issuer, home } = await trusting(t);
  issuer.stop();
  const { status, stderr } = await home.pbook('login');
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`${new URL(issuer.url).origin} does not answer`));
});

/** A server that trusts a site's issuer, and a home at which the VO of that site logs in. */
async function trusting(
  t: TestContext,
): Promise<{ issuer: SiteIssuer; site: LoginSite; home: Awaited<ReturnType<typeof makeHome>> }> {
  const issuer = await startSiteIssuer(t);
  const site = await startLoginSite(t, {
    settings: {
      issuers: [
        {
          issuer: issuer.url,
          audience: [issuer.clientId],
          nameClaim: 'full_name',
          groupsClaim: 'entitlements',
          login: { vo: 'atlas', clientId: issuer.clientId, clientSecret: issuer.clientSecret },
        },
      ],
    },
  });
  return { issuer, site, home: await makeHome(t, site.url, { PANDA_AUTH_VO: 'atlas' }) };
}
