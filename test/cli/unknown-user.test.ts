import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PROGRAMS, type Program } from '../../scripts/build/programs.ts';
import { no, ok, startStub } from '../client/stub-server.ts';
import { programPath, programWords } from '../programs.ts';
import { environment } from './run.ts';

// Containers on Kubernetes and OpenShift, and `docker -u`: the user has a number, no name and no home.
const UID = 54_321;
const asUser = ['--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups'];
const skip =
  spawnSync('setpriv', [...asUser, process.execPath, '--check', programPath('pbook')]).status === 0
    ? false
    : 'needs root, setpriv, and a clone that others can read';

for (const home of ['unset', 'read-only'] as const) {
  test(`every program tells its help to a user without an entry, HOME ${home}`, { skip }, async () => {
    for (const program of Object.keys(PROGRAMS) as Program[]) {
      const { status, stdout, stderr } = await runAsUser(program, ['--help'], { home });
      assert.deepEqual([program, status, stderr], [program, 0, '']);
      assert.match(stdout, /Usage/);
    }
  });

  test(`pbook and prun work for a user without an entry, HOME ${home}`, { skip }, async () => {
    await using stub = await startStub({
      'creds/get_user_secrets': () => ok('{"A_NAME": "a-value"}'),
      'creds/list_user_secrets': () => ok([{ name: 'A_NAME', kind: 'string' }]),
      'file_server/validate_cache_file': () => no('not found'),
      'file_server/upload_cache_file': () => ok(),
      'task/submit': () => ok(10000001, 'succeeded. new jediTaskID=10000001'),
    });
    const { PATH: _, PANDA_CONFIG_ROOT: __, ...env } = environment(stub.url);
    assert.match((await runAsUser('pbook', ['list_secrets'], { home, env })).stdout, /A_NAME : a-value/);
    assert.match((await runAsUser('pbook', ['-c', 'print(6 * 7)'], { home, env })).stdout, /^42$/m);
    const submitted = await runAsUser('prun', ['--exec', 'x', '--outDS', 'user.adoe.t'], { home, env });
    assert.deepEqual([submitted.status, submitted.stderr], [0, '']);
    const without = await runAsUser('pbook', ['list_secrets'], { home, env: { PANDA_URL_SSL: stub.url } });
    assert.match(without.stderr, /^ERROR : you are not logged in/);
  });

  test(`an operator without an entry names a data folder, and without one is told to, HOME ${home}`, {
    skip,
  }, async () => {
    const where = await runAsUser('panda-secrets', ['serve', '--port', '0'], { home });
    assert.match(where.stderr, /the data folder .* cannot be made \(E\w+\); --data names another/);
    const where2 = await runAsUser('panda-secrets', ['user', 'list'], { home });
    assert.match(where2.stderr, /there is no panda-secrets data in .*--data/);
  });

  test(`a pilot of a user without an entry gets as far as its token, HOME ${home}`, { skip }, async () => {
    const { stderr } = await runAsUser('panda-pilot', ['--queue', 'q', '--token-file', '-'], { home });
    assert.match(stderr, /standard input has no token/);
  });
}

/** Runs a program in a folder of the user's own, with nothing else in its environment. */
async function runAsUser(
  program: Program,
  args: readonly string[],
  { home, env = {} }: { home: 'unset' | 'read-only'; env?: Record<string, string> },
) {
  using readOnly = mkdtempDisposableSync(join(tmpdir(), 'no-home-'));
  using own = mkdtempDisposableSync(join(tmpdir(), 'own-'));
  chmodSync(readOnly.path, 0o555);
  writeFileSync(join(own.path, 'my.py'), '');
  chownSync(own.path, UID, UID);
  const child = spawn('setpriv', [...asUser, ...programWords(program), ...args], {
    cwd: own.path,
    env: { PATH: process.env['PATH'], ...(home === 'read-only' && { HOME: readOnly.path }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  return { status, stdout, stderr };
}
