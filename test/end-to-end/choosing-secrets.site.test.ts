import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../pilot/folders.ts';
import { filesBelow, type Ran, startSite, type User } from './site.ts';

/** Writes what a job finds of its secrets, without the mask that would stand in its log. */
const LOOK = `
import json, os
found = {'json': None, 'env': {}, 'files': {}}
if os.path.exists('panda_secrets.json'):
    found['json'] = json.load(open('panda_secrets.json'))
for name in ('ALPHA', 'BETA', 'GAMMA'):
    if name in os.environ:
        found['env'][name] = os.environ[name]
if os.path.exists('key.pem'):
    found['files']['key.pem'] = open('key.pem').read()
json.dump(found, open('found.json', 'w'))
`;

function outputOf(user: User) {
  const output = filesBelow(user.directory).find(({ path }) => path.endsWith('.found.json'));
  assert.ok(output, 'the output came back');
  return JSON.parse(output.bytes.toString());
}

function taskOf({ status, stdout, stderr }: Ran): string {
  assert.equal(status, 0, stderr);
  return /jediTaskID=(\d+)/.exec(stdout)?.[1] ?? '';
}

async function userWithSecrets(site: Awaited<ReturnType<typeof startSite>>): Promise<User> {
  const user = await site.user('adoe');
  writeFileSync(join(user.directory, 'look.py'), LOOK);
  for (const name of ['ALPHA', 'BETA'])
    assert.equal((await user.pbook('set_secret', name, `value of ${name}`)).status, 0);
  writeFileSync(join(user.directory, 'key.pem'), 'a key that is not in the sandbox');
  assert.equal((await user.pbook('set_secret', 'key.pem', '--file', 'key.pem')).status, 0);
  rmSync(join(user.directory, 'key.pem'));
  return user;
}

const submit = (user: User, name: string, ...more: string[]) =>
  user.prun(
    '--exec',
    'python3 look.py',
    '--outDS',
    `user.adoe.${name}`,
    '--outputs',
    'found.json',
    '--noBuild',
    ...more,
  );

test('a job gets the secrets that its task names, as they are when it starts, and no others', async (t) => {
  const site = await startSite(t);
  const user = await userWithSecrets(site);
  const refused = await submit(user, 'refused', '--useSecrets=ALPHA,NONE,NEITHER');
  assert.deepEqual([refused.status, refused.stdout], [1, '']);
  assert.match(refused.stderr, /you have no secret named NONE, NEITHER;/);

  const task = taskOf(await submit(user, 'named', '--useSecrets=key.pem,ALPHA'));
  await user.pbook('set_secret', 'ALPHA', 'changed meanwhile');
  await user.pbook('delete_secret', 'key.pem');
  writeFileSync(join(user.directory, 'key.pem'), 'set anew');
  assert.equal((await user.pbook('set_secret', 'key.pem', '--file', 'key.pem')).status, 0);
  assert.equal((await site.pilot({ idleExit: 10 })).status, 0);
  await user.pbook('get_outputs', task);
  const file = Buffer.from('set anew').toString('base64');
  assert.deepEqual(outputOf(user), {
    json: { ALPHA: 'changed meanwhile', '___file___:key.pem': file },
    env: { ALPHA: 'changed meanwhile' },
    files: { 'key.pem': 'set anew' },
  });
});

test('a job whose named secret is gone fails before it starts, and its owner reads which and why', async (t) => {
  const site = await startSite(t);
  const user = await userWithSecrets(site);
  const task = taskOf(await submit(user, 'gone', '--useSecrets=ALPHA,BETA', '--maxAttempt', '3'));
  await user.pbook('delete_secret', 'BETA');
  const pilot = await site.pilot({ idleExit: 1 });
  assert.equal(pilot.status, 0, pilot.stderr);
  assert.doesNotMatch(pilot.stderr, /attempt 1 starts/);
  const shown = await user.pbook('show', task);
  assert.match(shown.stdout, /failed/);
  assert.match(shown.stdout, /of the 2 secrets that the task names, number 2 was deleted since it was submitted/);
  assert.match((await user.pbook('logs', task)).stderr, /has no log so far; it is failed.*number 2 was deleted/);
});

test('--secretsAs chooses in which forms a job finds its secrets', async (t) => {
  const site = await startSite(t);
  const user = await userWithSecrets(site);
  assert.equal((await submit(user, 'forms', '--secretsAs', 'env')).status, 2);
  assert.equal((await submit(user, 'forms', '--useSecrets', '--secretsAs', 'env,disk')).status, 2);
  const task = taskOf(await submit(user, 'forms', '--useSecrets', '--secretsAs', 'env'));
  assert.equal((await site.pilot({ idleExit: 10 })).status, 0);
  await user.pbook('get_outputs', task);
  assert.deepEqual(outputOf(user), {
    json: null,
    env: { ALPHA: 'value of ALPHA', BETA: 'value of BETA' },
    files: {},
  });
});

test('a secret goes to the queues that its owner trusts, and nowhere else', async (t) => {
  const site = await startSite(t);
  const user = await userWithSecrets(site);
  await site.queue('TRUSTED');
  const unknown = await user.pbook('set_secret', 'GAMMA', 'value of GAMMA', '--queues', 'TRUSTED,ELSEWHERE');
  assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /there is no queue "ELSEWHERE"; the queues are TRUSTED, default/);
  assert.equal((await user.pbook('set_secret', 'GAMMA', 'value of GAMMA', '--queues', 'TRUSTED')).status, 0);
  assert.match((await user.pbook('list_secrets')).stdout, /GAMMA {3}: value of GAMMA \(queues TRUSTED\)/);

  for (const site of [[], ['--site', 'default']]) {
    const refused = await submit(user, 'elsewhere', '--useSecrets=ALPHA,GAMMA', ...site);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /"GAMMA" goes to TRUSTED only: .*--site/);
  }
  const submitted = await submit(user, 'elsewhere', '--useSecrets', '--site', 'default');
  assert.match(submitted.stderr, /WARNING : GAMMA goes to TRUSTED only: jobs on queue default do not get it/);
  const elsewhere = taskOf(submitted);
  assert.equal((await site.pilot({ idleExit: 10 })).status, 0);
  assert.match((await user.pbook('logs', elsewhere)).stdout, /not here because they may not go to queue default: 1/);
  await user.pbook('get_outputs', elsewhere);
  assert.deepEqual(outputOf(user).env, { ALPHA: 'value of ALPHA', BETA: 'value of BETA' });

  const trusted = taskOf(await submit(user, 'trusted', '--useSecrets=GAMMA', '--site', 'TRUSTED'));
  assert.equal((await site.pilot({ queue: 'TRUSTED', idleExit: 10 })).status, 0);
  await user.pbook('get_outputs', trusted, '--dir', 'trusted');
  const history = JSON.parse((await user.pbook('secret_history', 'GAMMA', '--json')).stdout).data;
  assert.deepEqual(
    history.map(({ task_id, queue, attempt, secrets }: Record<string, unknown>) => [task_id, queue, attempt, secrets]),
    [[Number(trusted), 'TRUSTED', 1, [{ name: 'GAMMA', version: 1 }]]],
  );
  const all = await user.pbook('secret_history');
  assert.match(all.stdout, / TRUSTED .* GAMMA \(1\)\n.* default .* ALPHA \(1\), BETA \(1\), key\.pem \(1\)\n/);
  assert.doesNotMatch(all.stdout, /value of/);
});

test('the log of a job names the secret that expires soon, and tells of one that is not there any more', async (t) => {
  const site = await startSite(t);
  const user = await userWithSecrets(site);
  await user.pbook('set_secret', 'ALPHA', 'value of ALPHA', '--expires', '3d');
  const end = await setWithEnd(user, 'BETA');
  const task = taskOf(await submit(user, 'ends', '--useSecrets'));
  await until(Date.now, (now) => now > end);
  assert.equal((await site.pilot({ idleExit: 10 })).status, 0);
  await user.pbook('get_outputs', task);
  assert.deepEqual(Object.keys(outputOf(user).json), ['ALPHA', '___file___:key.pem']);
  const { stdout } = await user.pbook('logs', task);
  assert.match(stdout, /secrets that are not here because they have expired: 1/);
  assert.match(stdout, /ALPHA expires \d{4}-\d\d-\d\d \d\d:\d\d UTC: no job gets it after that/);
  const listed = await namesOf(user);
  const used = (wanted: string) => listed.find(({ name }) => name === wanted)?.last_used_at;
  assert.deepEqual([typeof used('ALPHA'), used('BETA')], ['string', null]);
});

/** Gives a secret an end that comes soon. @returns when it has come, in milliseconds since 1970 */
async function setWithEnd(user: User, name: string): Promise<number> {
  for (let seconds = 1; ; seconds *= 2) {
    const { status, stderr } = await user.pbook('set_secret', name, `value of ${name}`, '--expires', `${seconds}s`);
    if (status === 0) return Date.now() + seconds * 1000;
    // A second is counted from its beginning: it may be over when the server hears of it.
    assert.match(stderr, /is over/);
  }
}

async function namesOf(user: User): Promise<{ name: string; last_used_at: string | null }[]> {
  return JSON.parse((await user.pbook('list_secrets', '--names', '--json')).stdout).data;
}
