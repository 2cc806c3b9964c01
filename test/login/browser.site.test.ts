import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { addAccount } from '../../src/identity/accounts.ts';
import { makeHome } from './command-line.ts';
import { PASSWORD, startLoginSite } from './login-site.ts';

/** The system's browser: `PANDA_TEST_CHROMIUM`, or where distributions put it. */
const BROWSER = [
  process.env['PANDA_TEST_CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== undefined && existsSync(path));
const options = BROWSER ? {} : { skip: 'there is no Chromium here; PANDA_TEST_CHROMIUM names one' };

for (const javaScriptEnabled of [true, false]) {
  const way = javaScriptEnabled ? 'with' : 'without';
  test(`somebody logs pbook in with Chromium, ${way} JavaScript`, options, async (t) => {
    const site = await startLoginSite(t);
    const home = await makeHome(t, site.url);
    const { address, code, ended } = await home.startLogin();
    const page = await openPage(t, { javaScriptEnabled });
    await page.goto(address);
    await page.getByLabel('Name').fill('alice');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    assert.equal(await page.getByRole('alert').textContent(), 'The name or the password is wrong.');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page
      .getByRole('heading', { name: 'Connect PanDA command line (pbook, prun) at 127.0.0.1 as Alice Doe?' })
      .waitFor();
    assert.ok(await page.getByText(code, { exact: true }).isVisible());
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    assert.equal((await ended).status, 0);
    assert.equal((await home.pbook('whoami')).stdout, 'alice (Alice Doe)\n');
  });
}

test('somebody types the code, by keyboard alone', options, async (t) => {
  const site = await startLoginSite(t);
  const begun = await site.beginLogin();
  const page = await openPage(t);
  await page.goto(begun.verification_uri);
  await page.locator('#name:focus').waitFor();
  await page.keyboard.type('alice');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.locator('#user_code:focus').waitFor();
  await page.keyboard.type(begun.user_code.toLowerCase().replace('-', ' '));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: /^Connect PanDA command line/ }).waitFor();
  for (const expected of ['', 'Connect']) {
    await page.keyboard.press('Tab');
    if (expected) assert.equal(await page.locator(':focus').textContent(), expected);
  }
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  assert.ok((await site.takeTokens(begun.device_code)).id_token);
});

test('who is signed in already confirms the code and is done', options, async (t) => {
  const site = await startLoginSite(t);
  const page = await openPage(t);
  for (let login = 1; login <= 2; login++) {
    const begun = await site.beginLogin();
    await page.goto(begun.verification_uri_complete);
    if (login === 1) {
      await page.getByLabel('Name').fill('alice');
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
    }
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    assert.ok((await site.takeTokens(begun.device_code)).id_token);
  }
});

test('a password is chosen at a link in Chromium', options, async (t) => {
  const site = await startLoginSite(t, { users: [] });
  await addAccount(site.store, Date.now, 'carol');
  const page = await openPage(t, { javaScriptEnabled: false });
  await page.goto(`${site.url}/password/${await site.signIn.createPasswordLink('carol')}`);
  await page.getByLabel('New password').fill('a new long password');
  await page.getByLabel('Repeat password').fill('a new long password');
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByRole('heading', { name: 'Your password is set' }).waitFor();
  assert.equal((await site.signIn.signIn('carol', 'a new long password')).name, 'carol');
});

test('somebody ends a login and goes to change their password, by keyboard alone', options, async (t) => {
  const site = await startLoginSite(t);
  const { refresh_token } = await site.logIn('alice');
  const page = await openPage(t);
  await page.goto(site.url);
  await pressUntil(page, 'Sign in');
  await page.locator('#name:focus').waitFor();
  await page.keyboard.type('alice');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Alice Doe' }).waitFor();
  await pressUntil(page, 'End', 'End the login of PanDA command line (pbook, prun)');
  await page.getByText('That login was ended').waitFor();
  assert.equal((await site.renew(refresh_token)).error, 'invalid_grant');
  await pressUntil(page, 'Change password');
  await page.locator('#current:focus').waitFor();
});

test('axe finds nothing on any page, wide and narrow, light and dark', options, async (t) => {
  const site = await startLoginSite(t);
  const page = await openPage(t);
  const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  const found: string[] = [];
  async function check(): Promise<void> {
    await page.evaluate(axe); // Not through the page, which lets no script in.
    for (const width of [1280, 375]) {
      await page.setViewportSize({ width, height: 800 });
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        const { violations } = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as AxeResults;
        for (const { id, nodes } of violations)
          found.push(`${page.url()} ${width} ${colorScheme}: ${id} ${nodes[0]?.html}`);
      }
    }
  }
  const begun = await site.beginLogin();
  const password = `/password/${await site.signIn.createPasswordLink('alice')}`;
  for (const path of [
    '/',
    password,
    '/password/none',
    '/api/v1/docs',
    '/api/v1/docs?q=restore',
    '/docs/user',
    '/sign-in',
  ]) {
    await page.goto(new URL(path, site.url).href);
    await check();
  }
  await page.goto(begun.verification_uri_complete);
  await page.getByLabel('Name').fill('alice');
  for (const typed of ['wrong', PASSWORD]) {
    await page.getByLabel('Password').fill(typed);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator(typed === 'wrong' ? '[role=alert]' : '.warning').waitFor();
    await check();
  }
  await page.getByRole('button', { name: 'Connect' }).click();
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  await check();
  for (const path of ['/', '/device', '/account/password', '/oidc/sign-out']) {
    await page.goto(new URL(path, site.url).href);
    await check();
  }
  assert.deepEqual(found, []);
});

interface AxeResults {
  violations: { id: string; nodes: { html: string }[] }[];
}

/** Presses Tab until a button or link of that text, or of that label, has the focus, and then Enter. */
async function pressUntil(page: Page, text: string, label: string | null = null): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab');
    const focus = page.locator(':focus');
    if ((await focus.textContent()) !== text) continue;
    if (label !== null && (await focus.getAttribute('aria-label')) !== label) continue;
    return page.keyboard.press('Enter');
  }
  assert.fail(`Tab does not come to "${text}"`);
}

test("no page breaks its own rules, and none is wider than a phone's screen", options, async (t) => {
  const site = await startLoginSite(t);
  const page = await openPage(t, { viewport: { width: 320, height: 600 }, colorScheme: 'dark' });
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
  });
  const { verification_uri, verification_uri_complete } = await site.beginLogin();
  const link = `${site.url}/password/${await site.signIn.createPasswordLink('alice')}`;
  const others = ['/', '/oidc/authorize', '/docs/using-secrets', '/api/v1/docs?q=deliveries'].map(
    (path) => `${site.url}${path}`,
  );
  for (const address of [verification_uri, verification_uri_complete, link, ...others]) {
    await page.goto(address);
    const [width, background] = await page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as unknown as {
        document: { documentElement: { scrollWidth: number }; body: object };
        getComputedStyle(element: object): { backgroundColor: string };
      };
      return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor] as const;
    });
    assert.ok(width <= 320, `${address} is ${width} wide`);
    assert.equal(background, 'rgb(16, 21, 28)');
  }
  assert.deepEqual(complaints, []);
});

/** For a machine with much else to do. */
const PATIENCE_MS = 100_000;

let browser: Promise<Browser> | undefined;
after(async () => (await browser)?.close());

/** A page of a browser that remembers nothing of the other tests. */
async function openPage(t: TestContext, contextOptions: BrowserContextOptions = {}): Promise<Page> {
  browser ??= chromium.launch({
    executablePath: String(BROWSER),
    timeout: PATIENCE_MS,
    args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const context = await (await browser).newContext(contextOptions);
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}
