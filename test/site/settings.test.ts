import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readSettings } from '../../src/site/settings.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';

/** A configuration file of this content. */
function configFile(t: TestContext, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-settings-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config.toml');
  writeFileSync(path, content);
  return path;
}

test('flags are stronger than variables, variables than the file, the file than the defaults', (t) => {
  const config = configFile(t, 'host = "file.example.org"\nport = 1\nvo = "atlas"\ndata = "data"\n');
  const environment = {
    PANDA_SECRETS_CONFIG: config,
    PANDA_SECRETS_HOST: 'variable.example.org',
    PANDA_SECRETS_PORT: '2',
  };
  const settings = readSettings({ port: '3' }, environment);
  assert.deepEqual(
    [settings.port, settings.host, settings.vo, settings.logLevel],
    [3, 'variable.example.org', 'atlas', 'info'],
  );
  assert.equal(settings.data, join(config, '..', 'data'), "a path in the file starts from the file's folder");
});

test('root keys are named by URIs, and the path of a file starts from where the setting stands', (t) => {
  const config = configFile(t, 'root_keys = ["file:keys/root", "file:///etc/root-keys"]\n');
  const folder = dirname(config);
  assert.deepEqual(readSettings({ config }, {}).rootKeys, [`file://${folder}/keys/root`, 'file:///etc/root-keys']);
  const variable = { PANDA_SECRETS_ROOT_KEYS: 'file:/a, file:b' };
  assert.deepEqual(readSettings({}, variable).rootKeys, ['file:/a', `file://${process.cwd()}/b`]);
  assert.throws(() => readSettings({}, { PANDA_SECRETS_ROOT_KEYS: '/etc/root-keys' }), {
    code: 'ERR_MISCONFIGURED',
    message: /PANDA_SECRETS_ROOT_KEYS must be a URI such as file:/,
  });
});

test('the lease of pilots may be set', (t) => {
  assert.equal(readSettings({}, {}).leaseSeconds, undefined);
  assert.equal(readSettings({ config: configFile(t, 'lease_seconds = 60') }, {}).leaseSeconds, 60);
  assert.equal(readSettings({}, { PANDA_SECRETS_LEASE_SECONDS: '60' }).leaseSeconds, 60);
});

test('without any setting the server is for this machine alone', () => {
  const { host, port, data, tls, trustedProxies } = readSettings({}, { XDG_DATA_HOME: '/home/alice/data' });
  assert.deepEqual(
    { host, port, data, tls, trustedProxies },
    { host: '127.0.0.1', port: 25080, data: '/home/alice/data/panda-secrets', tls: undefined, trustedProxies: [] },
  );
});

test('a setting that is unknown or mistaken is named, with where it stands', (t) => {
  const refuses = (content: string, message: RegExp) =>
    assert.throws(() => readSettings({ config: configFile(t, content) }, {}), message);
  refuses('prot = 80', /unknown setting "prot"; known are .*port/);
  refuses('port = "many"', /"port" in .*config\.toml must be a port number/);
  refuses('host = ""', /"host" in .*config\.toml must be a text that is not empty/);
  refuses('trusted_proxy = [1]', /"trusted_proxy" in .* must be a list of addresses/);
  refuses('trusted_proxy = "10.0.0.0/99"', /must be a list of addresses or networks/);
  refuses('log_level = "loud"', /log level is one of error, warn, info, debug, not "loud"/);
  refuses('lease_seconds = 0', /"lease_seconds" in .* must be a whole number of seconds from 1 to 86400/);
  refuses('tls_cert = "cert.pem"', /--tls-key is missing/);
  refuses('port = ', /config\.toml: Invalid TOML/);
  refuses('[issuers]\nissuer = "x"', /"issuers" in .* must be tables: \[\[issuers\]\]/);
  refuses('[[issuers]]\nissuer = "https://iam.example.org/"', /"audience" of \[\[issuers\]\] number 1/);
  refuses('[[issuers]]\naudiance = "x"', /unknown key "audiance"/);
  assert.throws(() => readSettings({ port: '70000' }, {}), /--port must be a port number/);
  assert.throws(() => readSettings({}, { PANDA_SECRETS_PORT: 'x' }), /PANDA_SECRETS_PORT must be a port number/);
  assert.throws(() => readSettings({ config: '/not/there' }, {}), /\/not\/there: it cannot be read \(ENOENT\)/);
});

test("a site's issuers are read with the queues that their pilots serve", (t) => {
  const config = configFile(
    t,
    '[[issuers]]\nissuer = "https://iam.example.org/"\naudience = ["panda"]\ngroups_claim = "roles"\npilots = { "vo/pilot" = ["A", "B"] }\n',
  );
  assert.deepEqual(readSettings({ config }, {}).issuers, [
    {
      issuer: 'https://iam.example.org/',
      audience: ['panda'],
      groupsClaim: 'roles',
      pilots: { 'vo/pilot': ['A', 'B'] },
    },
  ]);
});

test('what the settings refuse, the program says in one line', async (t) => {
  const config = configFile(t, 'prot = 80\n');
  const { status, stdout, stderr } = await pandaSecrets(t).run(['serve'], { PANDA_SECRETS_CONFIG: config });
  assert.deepEqual([status, stdout, stderr.split('\n').length], [1, '', 2]);
});

test('workers are a number or one for each core, and each has a connection to PostgreSQL', () => {
  assert.equal(readSettings({}, {}).workers, undefined);
  assert.equal(readSettings({ workers: '3' }, {}).workers, 3);
  assert.ok(Number(readSettings({}, { PANDA_SECRETS_WORKERS: 'auto' }).workers) >= 1);
  for (const workers of ['0', '65', 'many', '1.5']) {
    assert.throws(() => readSettings({ workers }, {}), /--workers must be a whole number, or "auto" .* from 1 to 64/);
  }
  const few = { PANDA_SECRETS_DATABASE_CONNECTIONS: '2' };
  assert.equal(readSettings({ workers: '3' }, few).workers, 3, 'SQLite needs none');
  assert.throws(
    () => readSettings({ workers: '3', database: 'postgres://db/x' }, few),
    /each of 3 workers needs a connection to PostgreSQL: database_connections allows 2/,
  );
});
