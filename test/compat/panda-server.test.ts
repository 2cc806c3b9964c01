// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { list } from 'tar';
import { parseJobParameters } from '../../src/protocol/job-parameters.ts';
import { run } from '../cli/run.ts';
import { startPanda } from './panda-server.ts';

// Our pbook and prun against a server that knows PanDA's own calls alone.

/** Calls of ours that `list_secrets` makes, and does without. */
const EXTENSIONS_ASKED_FOR = ['creds/list_user_secrets', 'creds/get_queue_notices'];

test('secrets are set, listed and deleted on a server of PanDA', async () => {
  await using panda = await startPanda();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-'));
  const path = join(folder.path, 'key.pem');
  writeFileSync(path, Buffer.from([1, 2, 255]));
  const pbook = (...args: string[]) => run('pbook', args, panda.url);
  assert.equal((await pbook('set_secret', 'MY_SECRET', 'a=b, c')).status, 0);
  assert.equal((await pbook('set_secret', 'my_file', '--file', path)).status, 0);
  assert.deepEqual(
    [...panda.secrets],
    [
      ['MY_SECRET', 'a=b, c'],
      ['___file___:my_file', 'AQL/'],
    ],
  );
  const { stdout } = await pbook('list_secrets');
  assert.match(stdout, /MY_SECRET : a=b, c/);
  assert.match(stdout, /my_file/);
  assert.equal((await pbook('delete_secret', 'my_file')).status, 0);
  assert.deepEqual([...panda.secrets.keys()], ['MY_SECRET']);
  assert.equal((await pbook('delete_all_secrets', '--yes')).status, 0);
  assert.equal(panda.secrets.size, 0);
  // Asking for an extension does no harm, as long as its absence does none.
  assert.deepEqual(
    [...new Set(panda.unknown)].filter((path) => !EXTENSIONS_ASKED_FOR.includes(path)),
    [],
  );
});

test("a task is submitted with the parameters that PanDA's prun sends, and looked after", async () => {
  await using panda = await startPanda();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-'));
  writeFileSync(join(folder.path, 'my.py'), 'print(1)');
  const exec = `python3 my.py "a b" 'x' %RNDM:5 100%`;
  const options = ['--outDS', 'user.adoe.test1', '--nJobs', '3', '--outputs', 'out.txt', '--useSecrets', '--noBuild'];
  const submitted = await run('prun', ['--exec', exec, ...options], panda.url, { cwd: folder.path });
  assert.equal(submitted.status, 0, submitted.stderr);
  assert.match(submitted.stdout + submitted.stderr, /jediTaskID=20000001/);

  const [task = {}] = panda.tasks;
  assert.deepEqual(
    ['taskName', 'uniqueTaskName', 'useSecrets', 'nEvents', 'nEventsPerJob', 'prodSourceLabel', 'noInput'].map(
      (name) => task[name],
    ),
    ['user.adoe.test1/', true, true, 3, 1, 'user', true],
  );
  const [name = '', archive] = [...panda.sandboxes][0] ?? [];
  const paths: string[] = [];
  list({ sync: true, onReadEntry: ({ path }) => paths.push(path) }).end(archive ?? Buffer.alloc(0));
  assert.deepEqual(
    paths.filter((path) => !path.endsWith('/')),
    ['./my.py'],
  );
  const pieces = task['jobParameters'] as { value: string; hidden?: boolean; padding?: boolean }[];
  const text = pieces
    .filter(({ hidden }) => !hidden)
    .map(({ value, padding }) => (padding === false ? value : `${value} `))
    .join('');
  const parameters = parseJobParameters(text.replace('${SEQNUMBER}', '6').replace('${SURL}', panda.url));
  assert.equal(parameters.command, exec.replace('%RNDM:5', '6'));
  assert.equal(parameters.sandbox, name);

  const pbook = (...args: string[]) => run('pbook', args, panda.url);
  assert.match((await pbook('show')).stdout, /20000001 +7 +scouting +0% +user\.adoe\.test1\//);
  assert.match((await pbook('show', '20000001', 'format=long')).stdout, /2026-01-02 03:04:05/);
  assert.equal((await pbook('finish', '20000001', '--soft')).status, 0);
  assert.equal((await pbook('kill', '20000001')).status, 0);
  assert.equal((await pbook('retry', '20000001')).status, 0);
  assert.deepEqual(panda.commands, ['finish 20000001 soft', 'kill 20000001', 'retry 20000001']);
});

test('what a server of PanDA could only do wrongly is refused here, with the reason', async () => {
  await using panda = await startPanda();
  panda.secrets.set('A', 'x').set('B', 'y');
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-'));
  const options = ['--exec', 'true', '--outDS', 'user.adoe.test1', '--useSecrets=A'];
  const { status, stderr } = await run('prun', options, panda.url, { cwd: folder.path });
  assert.notEqual(status, 0, 'it would have given all secrets in place of one');
  assert.match(stderr, /does not know this call/);
  assert.deepEqual(panda.tasks, []);
  const logs = await run('pbook', ['logs', '20000001'], panda.url);
  assert.notEqual(logs.status, 0);
  assert.match(logs.stderr, /does not know this call/);
});
