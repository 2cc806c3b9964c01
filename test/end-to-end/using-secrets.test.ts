import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { filesBelow, startSite } from './site.ts';

/** The job of the page's last section: its own lines, with something done where it says `do_something`. */
const MANUAL_JOB = `
import json
import base64
with open('panda_secrets.json') as f:
    secrets = json.load(f)
    print(secrets['MY_SECRET'])

    with open('some_binary_file', 'wb') as f:
        f.write(base64.b64decode(secrets['MY_SECRET_BIN']))
    print(json.loads(secrets['MY_SECRET_SER'])['a_key'])
`;

test('the manual page "Using secrets" works from top to bottom, one command at a time', async (t) => {
  const site = await startSite(t);
  const user = await site.user('adoe');
  const binary = randomBytes(100);

  // How to manage secrets: set_secret
  const ok = { status: 0, stdout: 'INFO : OK\n', stderr: '' };
  assert.deepEqual(await user.pbook('set_secret', 'MY_SECRET', 'random_string'), ok);
  assert.deepEqual(await user.pbook('set_secret', 'MY_SECRET_SER', '{"a_key": "a_value"}'), ok);
  assert.deepEqual(await user.pbook('set_secret', 'MY_SECRET_BIN', binary.toString('base64')), ok);

  // list_secrets shows all secrets
  const { stdout } = await user.pbook('list_secrets');
  assert.deepEqual(stdout.split('\n').slice(0, 4), [
    '',
    '    Key           : Value',
    `    ------------- : ${'-'.repeat(53)}`,
    '    MY_SECRET     : random_string',
  ]);
  assert.match(stdout, /\n {4}MY_SECRET_SER : \{"a_key": "a_value"\}\n/);

  // Using secrets in your jobs
  writeFileSync(join(user.directory, 'my_job.py'), MANUAL_JOB);
  const submitted = await user.prun(
    ...['--exec', 'python3 my_job.py', '--outDS', 'user.adoe.manual', '--outputs', 'some_binary_file'],
    ...['--useSecrets', '--noBuild'],
  );
  assert.equal(submitted.status, 0, submitted.stderr);
  const task = /jediTaskID=(\d+)/.exec(submitted.stdout)?.[1] ?? '';
  const pilot = await site.pilot();
  assert.equal(pilot.status, 0, pilot.stderr);

  const log = await user.pbook('logs', task);
  assert.match(log.stdout, /^\*\*\*\n\*\*\*$/m, 'both printed values are masked');
  assert.equal((await user.pbook('get_outputs', task)).status, 0);
  const output = filesBelow(user.directory).find(({ path }) => path.endsWith('.some_binary_file'));
  assert.deepEqual(output && readFileSync(output.path), binary, 'the job had the binary secret byte for byte');

  // delete_secret and delete_all_secrets
  assert.deepEqual(await user.pbook('delete_secret', 'MY_SECRET'), ok);
  assert.doesNotMatch((await user.pbook('list_secrets')).stdout, /MY_SECRET /);
  assert.deepEqual(await user.pbook('delete_all_secrets', '--yes'), ok);
  assert.equal((await user.pbook('list_secrets')).stdout, 'No secrets\n');
});
