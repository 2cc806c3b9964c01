import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CREDENTIAL_FILES } from '../../src/client/credential-files.ts';
import { type PackRules, packDirectory } from '../../src/client/pack.ts';
import { formatJoinToken, newJoinToken } from '../../src/protocol/join.ts';
import { unsignedToken } from './stub-server.ts';

const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n-----END OPENSSH PRIVATE KEY-----\n';
const LOGIN = JSON.stringify({ id_token: unsignedToken(), refresh_token: 'r' }, null, 2);

test('a login is never packed, wherever it is kept, copied or linked to, and whatever is asked for', async () => {
  using home = folder({
    '.pathena/.token': LOGIN,
    'backup/.pathena/.history': '',
    'elsewhere/panda/.token': LOGIN,
    'alice.token': 'x',
    copy: LOGIN,
    'my.py': '',
  });
  symlinkSync('.pathena/.token', join(home.path, 'link'));
  symlinkSync('elsewhere/panda', join(home.path, 'config'));
  const own = ['.pathena', 'config', 'alice.token'].map((name) => join(home.path, name));
  const { paths, leftOut } = await packed(home.path, { own, include: ['*', '**'] });
  assert.deepEqual(paths, ['my.py']);
  assert.ok(leftOut.every(({ never }) => never));
  assert.deepEqual(leftOut.map(({ path }) => path).sort(), [
    '.pathena/',
    'alice.token',
    'backup/.pathena/',
    'config',
    'copy',
    'elsewhere/panda/',
    'link',
  ]);
});

test('keys and tokens of this software are known by their content, under any name', async () => {
  using directory = folder({
    a: `{\n  "format": 1,\n  "active": "k1",\n  "keys": [\n    {\n      "id": "k1",\n      "key": "AAAA"\n    }\n  ]\n}\n`,
    b: '{\n  "format": 1,\n  "issuer": "urn:panda-secrets:1",\n  "keys": [\n    {\n      "kty": "RSA",\n      "d": "x"\n    }\n  ]\n}\n',
    c: `${formatJoinToken(newJoinToken())}\n`,
    d: `${unsignedToken({ iss: 'urn:panda-secrets:1' })}\n`,
    e: `${unsignedToken({ iss: 'https://iam.example.org' })}\n`,
    f: 'id_token',
  });
  const { paths, leftOut } = await packed(directory.path, { include: ['*'] });
  assert.deepEqual(paths, ['e', 'f']);
  assert.deepEqual(
    leftOut.map(({ what }) => what),
    ['root keys', 'signing keys', 'a join token', 'a token'],
  );
});

test('the folder of a login, and a folder in it, is no directory to submit', async () => {
  using home = folder({ '.pathena/jobs/my.py': '' });
  const own = [join(home.path, '.pathena')];
  for (const inside of ['.pathena', '.pathena/jobs']) {
    await assert.rejects(packed(join(home.path, inside), { own }), /submit from another directory/);
  }
});

test('well-known credentials are left out and named', async () => {
  const files = {
    '.ssh/config': '',
    '.aws/credentials': '',
    '.netrc': '',
    '.kube/config': '',
    '.docker/config.json': '',
    '.git-credentials': '',
    '.config/gcloud/credentials.db': '',
    '.azure/msal_token_cache.json': '',
    'deep/server.pem': KEY,
    'deep/server.key': KEY,
    'deep/id_ed25519': KEY,
    '.env': '',
    'deep/.env.production': '',
    '.pgpass': '',
    '.npmrc': '//registry.example.org/:_authToken=x',
    '.mozilla/firefox/x/key4.db': '',
    '.gnupg/secring.gpg': '',
    '.local/share/keyrings/login.keyring': '',
    '.bash_history': '',
    'gcp.json': '{"private_key": "-----BEGIN PRIVATE KEY-----"}',
    x509up_u1000: '',
  };
  using directory = folder(files);
  const { paths, leftOut } = await packed(directory.path, {});
  assert.deepEqual(paths, []);
  assert.ok(leftOut.every(({ never, what }) => !never && what !== ''));
  assert.ok(
    leftOut.some(({ path }) => path === '.ssh/'),
    'a folder is named once',
  );
});

test('files that only look alike are packed', async () => {
  using directory = folder({
    'ca.pem': '-----BEGIN CERTIFICATE-----',
    'answer.key': '42',
    '.npmrc': 'save-exact=true',
    '.env.example': 'PASSWORD=',
    '.docker/Dockerfile': '',
    '.config/my.toml': '',
    'environment.yml': '',
    'id_rsa.pub': 'ssh-rsa AAAA',
    'data.json': '{"private_key": null}',
  });
  const { paths, leftOut } = await packed(directory.path, {});
  assert.deepEqual([paths.length, leftOut], [9, []]);
});

test('what is asked for is packed, and its neighbours are not', async () => {
  using directory = folder({ '.ssh/known_hosts': '', '.ssh/id_rsa': KEY, 'a/.env': '', '.env': '', 'k.pem': KEY });
  const include = ['.ssh/known_hosts', '/.env', '*.pem'];
  const { paths, leftOut } = await packed(directory.path, { include });
  assert.deepEqual(paths, ['.env', '.ssh/known_hosts', 'k.pem']);
  assert.deepEqual(leftOut.map(({ path }) => path).sort(), ['.ssh/id_rsa', 'a/.env']);
});

test('a link to credentials is left out with them', async () => {
  using directory = folder({ '.ssh/id_rsa': KEY, 'src/my.py': '' });
  symlinkSync('../.ssh/id_rsa', join(directory.path, 'src/key'));
  symlinkSync('src', join(directory.path, 'code'));
  const { paths, leftOut } = await packed(directory.path, {});
  assert.deepEqual(paths, ['code', 'src/my.py']);
  assert.deepEqual(
    leftOut.map(({ path, what }) => [path, what]),
    [
      ['.ssh/', 'SSH keys'],
      ['src/key', 'a link to .ssh/'],
    ],
  );
});

test('each entry of the list of credentials says where it is written', () => {
  for (const { patterns, source } of CREDENTIAL_FILES) assert.ok(patterns.length > 0 && source.length > 3);
});

async function packed(directory: string, rules: Partial<PackRules>) {
  const { paths, leftOut } = await packDirectory(directory, { exclude: [], own: [], ...rules });
  return { paths, leftOut: leftOut.private };
}

function folder(files: Record<string, string>) {
  const directory = mkdtempDisposableSync(join(tmpdir(), 'private-test-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory.path, path)), { recursive: true });
    writeFileSync(join(directory.path, path), text);
  }
  return directory;
}
