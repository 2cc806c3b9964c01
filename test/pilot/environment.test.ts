import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentsRoom } from '../../src/payload/secret-variables.ts';
import { passedSecrets, payloadEnvironment } from '../../src/pilot/environment.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';

const EIGHT_MEGABYTES = 8 * 1024 * 1024;
const limits = (soft: string) => `Max file size             unlimited            unlimited            bytes
Max stack size            ${soft}              unlimited            bytes
`;

function environmentWith(
  secrets: Record<string, string>,
  {
    own = {},
    room = argumentsRoom(limits(String(EIGHT_MEGABYTES))),
  }: { own?: Record<string, string>; room?: number } = {},
) {
  return payloadEnvironment({
    own,
    passOn: Object.keys(own),
    home: '/srv',
    temporary: '/tmp',
    job: { id: 1, taskId: 2, attempt: 3 },
    fixed: { PANDA_SECRETS_FILE: '/srv/x' },
    secrets: Object.entries(secrets).map(([name, value]) => ({ name: wireName(name), value: new Plaintext(value) })),
    room,
  });
}

test('a secret wins over what the node has of its name, and the pilot over a secret', () => {
  const own = { FOO: "the operator's", SSL_CERT_FILE: '/etc/site.pem', SITE: 'here' };
  const { environment, leftOut } = environmentWith({ FOO: "the user's", SSL_CERT_FILE: 'x', PANDAID: '0' }, { own });
  const { FOO, SSL_CERT_FILE, SITE, PANDAID } = environment;
  assert.deepEqual([FOO, SSL_CERT_FILE, SITE, PANDAID], ["the user's", 'x', 'here', '1']);
  assert.deepEqual(leftOut, [{ name: 'PANDAID', why: 'name' }]);
});

test('what arguments and environment may take follows the stack limit, within what the kernel allows', () => {
  assert.equal(argumentsRoom(limits(String(EIGHT_MEGABYTES))), 2 * 1024 * 1024);
  assert.equal(argumentsRoom(limits('1048576')), 256 * 1024);
  assert.equal(argumentsRoom(limits('65536')), 128 * 1024);
  assert.equal(argumentsRoom(limits('unlimited')), 6 * 1024 * 1024);
});

test('secrets take half of the room, and the rest is left out by name', () => {
  const secrets = Object.fromEntries(['A', 'B', 'C'].map((name) => [name, 'x'.repeat(80_000)]));
  const { environment, leftOut } = environmentWith(secrets, { room: 256 * 1024 });
  assert.equal(environment['A']?.length, 80_000);
  assert.deepEqual(
    leftOut.map(({ name, why }) => `${name}: ${why}`),
    ['B: value', 'C: value'],
  );
});

test('variables of the node that look like secrets are known to the masker: by name, by looks, in addresses', () => {
  const own = {
    SITE_TOKEN: 'operators-token',
    SITE_ID: 'q8Zt3vXk2LpW9sRb',
    SITE_NAME: 'Some_Site_in_the_North',
    https_proxy: 'http://user:proxy-pass-1@proxy.example.org:3128',
    PATH: '/usr/bin:/bin',
  };
  const values = passedSecrets({ own, passOn: ['SITE_TOKEN', 'SITE_ID', 'SITE_NAME'] }).map(({ value }) =>
    value.reveal(),
  );
  assert.deepEqual([...new Set(values)].sort(), ['operators-token', 'proxy-pass-1', 'q8Zt3vXk2LpW9sRb']);
});
