import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { columns } from '../../src/cli/columns.ts';
import { wantsJson } from '../../src/cli/reporting.ts';
import { no, ok, startStub } from '../client/stub-server.ts';
import { programPath } from '../programs.ts';
import { environment, run } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';

const LONG = 'user.adoe.a_name_that_goes_on_and_on_until_it_is_much_longer_than_a_line_of_the_terminal/';

test('a failure with --json is a result with its code, beside the line for people, with the same status', async () => {
  await using stub = await startStub({
    'task/get_tasks_detailed_info_since': () => ok([]),
    'creds/get_user_secrets': () => no('no room'),
    'task/kill': () => no('it has ended'),
  });
  const failures: [args: string[], status: number, code: string | undefined, message: RegExp][] = [
    [['show', '10000009', '--json'], 1, 'ERR_NOT_FOUND', /you have no task 10000009/],
    [['show', '10000009', 'format=json'], 1, 'ERR_NOT_FOUND', /you have no task 10000009/],
    [['list_secrets', '--json'], 1, 'ERR_REFUSED', /no room/],
    [['list_secrets', '--json', '--colour'], 2, 'ERR_USAGE', /unknown option/],
    [['kill', 'x', '--json'], 2, 'ERR_USAGE', /not a task id/],
    [['kill', '10000001', '--json'], 1, undefined, /it has ended/],
  ];
  for (const [args, status, code, message] of failures) {
    const done = await run('pbook', args, stub.url);
    const plain = await run(
      'pbook',
      args.filter((word) => word !== '--json'),
      stub.url,
    );
    const answer = JSON.parse(done.stdout);
    assert.deepEqual(
      [done.status, plain.status, answer.success, answer.code],
      [status, status, false, code],
      args.join(' '),
    );
    assert.match(answer.message, message);
    assert.match(done.stderr, /^ERROR : /);
  }
});

test('a value that reads --json asks for none', () => {
  assert.equal(wantsJson(['set_secret', 'K', '--', '--json']), false);
  assert.equal(wantsJson(['set_secret', 'K', '--json', '--', 'v']), true);
});

test('every result is one shape: success, message and data', async () => {
  await using stub = await startSecretsStub();
  for (const args of [
    ['set_secret', 'KEY_NAME', 'correct-horse-battery'],
    ['list_secrets'],
    ['list_secrets', '--names'],
    ['get_secret', 'KEY_NAME'],
    ['masking', 'KEY_NAME'],
    ['delete_secret', 'KEY_NAME'],
    ['delete_all_secrets', '--yes'],
  ]) {
    const { status, stdout, stderr } = await run('pbook', [...args, '--json'], stub.url);
    assert.deepEqual([status, stderr], [0, ''], args.join(' '));
    assert.deepEqual(Object.keys(JSON.parse(stdout)), ['success', 'message', 'data']);
  }
});

test('rows fit the width, wide letters counted as two, and nothing of them is lost', async () => {
  const head = [{ title: 'Id', align: 'right' }, { title: 'State' }, { title: 'Name' }] as const;
  const rows = [
    ['1', 'running', LONG],
    ['100', '日本語の状態がとても長い名前で続いていく', 'short'],
  ];
  for (const width of [40, 60, 80]) {
    const text = await columns(head, rows, width);
    for (const line of text.split('\n')) assert.ok(cells(line) <= width, `${width}: ${line}`);
    assert.ok(text.replace(/[\s]/g, '').includes('日本語の状態') || text.includes('日本'));
    assert.equal(lettersOf(text).includes(lettersOf(LONG).slice(0, 20)), true);
  }
});

test('one long name makes the rows of the others no wider', async () => {
  const rows = [...Array.from({ length: 3 }, (_, n) => [`n${n}`, 'x']), [LONG, 'y']];
  const lines = (await columns(['NAME', 'STATE'], rows, 80)).split('\n');
  assert.ok(
    lines.slice(2, 5).every((line) => line.length < 40),
    lines.join('\n'),
  );
});

test('columns that cannot be broken become a list of their cells where they do not fit', async () => {
  const text = await columns([{ title: 'PILOT', isWhole: true }, 'QUEUE'], [[`pilot-${'x'.repeat(40)}`, 'Q1']], 40);
  assert.equal(text, ` PILOT  pilot-${'x'.repeat(26)}\n        ${'x'.repeat(14)}\n QUEUE  Q1\n`);
});

test('the list of secrets fits 80 columns where none is known, and a long name has a line of its own', async () => {
  const secrets = { [LONG]: 'v'.repeat(60), 名前: '値'.repeat(50), K: 'short' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  const { stdout } = await run('pbook', ['list_secrets'], stub.url, { env: { COLUMNS: '' } });
  const lines = stdout.split('\n').filter((line) => !line.includes(LONG));
  for (const line of lines) assert.ok(cells(line) <= 80, line);
  assert.match(stdout, /\n {4}K {4}: short\n/);
  assert.match(stdout, /\n {4}名前 : /);
  assert.ok(stdout.includes(`\n    ${LONG}\n`));
});

test('help fits its width', async () => {
  for (const args of [['--help'], ['help', 'set_secret'], ['help', 'show'], ['logins', '--help']]) {
    for (const width of [50, 80]) {
      const { stdout } = await run('pbook', args, 'http://127.0.0.1:1', { env: { COLUMNS: String(width) } });
      const words = stdout.split('\n').filter((line) => line.length > width && line.trim().includes(' '));
      assert.deepEqual(words, [], `${args} at ${width}`);
    }
  }
});

test('output that cannot be written is said in one line', { skip: process.platform !== 'linux' }, async () => {
  const full = openSync('/dev/full', 'w');
  for (const args of [['--version'], ['help', 'set_secret'], ['completion', 'bash']]) {
    const { status, stderr } = spawnSync(process.execPath, [programPath('pbook'), ...args], {
      env: environment('http://127.0.0.1:1'),
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    assert.deepEqual(
      [status, stderr],
      [1, 'ERROR : the output cannot be written: the disk is full (standard output)\n'],
    );
  }
});

function cells(line: string): number {
  return [...line].reduce(
    (sum, letter) => sum + (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/.test(letter) ? 2 : 1),
    0,
  );
}

function lettersOf(text: string): string {
  return text.replace(/\s/g, '');
}
