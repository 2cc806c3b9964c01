import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { noTerminal, openTerminal } from '../cli/terminal.ts';
import { confirmDevice, startLoginSite } from './login-site.ts';
import { createVisitor } from './visitor.ts';

const skip = noTerminal;

test('a command at a terminal offers to log in, and then goes on', { skip }, async (t) => {
  const site = await startLoginSite(t);
  using home = mkdtempDisposableSync(join(tmpdir(), 'terminal-test-'));
  await using terminal = openTerminal(['set_secret', 'KEY', 'a value'], site.url, { env: withoutLogin(home.path) });
  await terminal.sees(/You are not logged in\. Log in now\?/);
  terminal.type('\r');
  const told = await terminal.sees(/shows the code \S+(?=\n)/);
  const [address = ''] = /http\S+/.exec(told) ?? [];
  const user_code = new URL(address).searchParams.get('user_code') ?? '';
  assert.ok(told.endsWith(user_code));
  await terminal.sees(/waiting for you to confirm/);
  const confirming = { verification_uri_complete: address, user_code };
  assert.match(await confirmDevice(createVisitor(site.url), confirming, 'alice'), /<h1>You are logged in/);
  await terminal.sees(/INFO : OK/);
  assert.equal(await terminal.status(), 0);
});

test('who does not want to log in is told what is missing', { skip }, async (t) => {
  const site = await startLoginSite(t, { users: [] });
  using home = mkdtempDisposableSync(join(tmpdir(), 'terminal-test-'));
  await using terminal = openTerminal(['list_secrets'], site.url, { env: withoutLogin(home.path) });
  await terminal.sees(/Log in now\?/);
  terminal.type('n\r');
  await terminal.sees(/ERROR : you are not logged in/);
  assert.equal(await terminal.status(), 1);
});

test('Ctrl-C ends the question, and the waiting', { skip }, async (t) => {
  const site = await startLoginSite(t, { users: [] });
  using home = mkdtempDisposableSync(join(tmpdir(), 'terminal-test-'));
  await using asked = openTerminal(['list_secrets'], site.url, { env: withoutLogin(home.path) });
  await asked.sees(/Log in now\?/);
  asked.type('\u0003');
  assert.equal(await asked.status(), 130);
  await using waiting = openTerminal(['login'], site.url, { env: withoutLogin(home.path) });
  await waiting.sees(/waiting for you to confirm/);
  waiting.type('\u0003');
  assert.notEqual(await waiting.status(), 0);
});

function withoutLogin(home: string): Record<string, string> {
  return { PANDA_AUTH_ID_TOKEN: '', PANDA_CONFIG_ROOT: home };
}
