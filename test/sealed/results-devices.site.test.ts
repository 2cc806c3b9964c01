import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { newSigned, type Signed } from './node.ts';
import { grantOf, userNumber } from './samples.ts';

/** Fetches a task's only output, as a device with another folder of keys when one is named. */
async function fetchBy({ pbook, folder }: Signed, task: number, device?: string) {
  const dir = join(folder, `outputs-${device ?? 'first'}-${task}`);
  const env: Record<string, string> = device === undefined ? {} : { PANDA_CONFIG_ROOT: join(folder, device) };
  const { status, stderr } = await pbook(['get_outputs', String(task), '--dir', dir, '--force'], { env });
  const [file] = existsSync(dir) ? readdirSync(dir) : [];
  return { status, stderr, text: file === undefined ? undefined : readFileSync(join(dir, file), 'utf8') };
}

test('a device that did not sign checks by the grant that the server shows, and says what it cannot tell', async (t) => {
  const signed = await newSigned(t);
  const { submit, acquire, bring, pbook, code, site, folder, middle } = signed;
  const env = { PANDA_CONFIG_ROOT: join(folder, 'second') };
  assert.equal((await pbook(['keys', 'import'], { env, input: `${code}\n` })).status, 0);
  assert.equal((await pbook(['keys', 'trust', `default=${site.id}`], { env })).status, 0);
  const task = await submit('--nJobs', '2', '--maxAttempt', '1', '--sealResults');
  const [one, two] = await acquire();
  assert.ok(one && two);
  await bring(one, { log: 'log 1\n', outputs: { 'out.txt': 'one\n' } });
  await bring(two, { log: 'log 2\n', state: 'failed' });
  const second = await pbook(['logs', String(task)], { env });
  assert.deepEqual([second.status, second.stdout], [0, 'log 1\nlog 2\n'], second.stderr);
  assert.match(second.stderr, /signed for on another device/);
  middle.onAnswer = (answer, { path }) => {
    if (path.startsWith('/api/v1/job/get_file')) answer.body = Buffer.from('made up');
  };
  const forged = await fetchBy(signed, task, 'second');
  assert.deepEqual([forged.status, forged.text], [1, undefined]);
  middle.onAnswer = () => {};

  // Signed again on the second one, which the first one learns from the grant.
  assert.equal((await pbook(['list_secrets'], { env })).status, 0);
  const retried = await pbook(['retry', String(task)], { env });
  assert.equal(retried.status, 0, retried.stderr);
  const [again] = await acquire();
  assert.ok(again);
  await bring(again, { log: 'log 2 again\n', outputs: { 'out.txt': 'two\n' } });
  const whole = await pbook(['logs', String(task)], { env });
  assert.deepEqual([whole.status, whole.stdout], [0, 'log 1\nlog 2 again\n'], 'it kept the grant before');
  const grant = grantOf(await userNumber(9), [site.id], { task });
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/task/get_details')) return;
    const envelope = JSON.parse(answer.body.toString());
    answer.body = Buffer.from(JSON.stringify({ ...envelope, data: { ...envelope.data, grant } }));
  };
  const foreign = await pbook(['logs', String(task)]);
  assert.deepEqual([foreign.status, foreign.stdout], [1, 'log 1\n'], "under somebody else's grant");
  assert.match(foreign.stderr, /\(result-other\)/);
  middle.onAnswer = () => {};
  const first = await pbook(['logs', String(task)]);
  assert.deepEqual([first.status, first.stdout], [0, 'log 1\nlog 2 again\n'], first.stderr);
  assert.match(first.stderr, /signed for again on another device/);
  assert.doesNotMatch((await pbook(['logs', String(task)])).stderr, /another device/);
});

test('a server that hides that a task was signed for is not believed on another device with the key', async (t) => {
  const signed = await newSigned(t);
  const { submit, acquire, bring, pbook, code, folder, middle } = signed;
  const env = { PANDA_CONFIG_ROOT: join(folder, 'second') };
  assert.equal((await pbook(['keys', 'import'], { env, input: `${code}\n` })).status, 0);
  const task = await submit();
  const [job] = await acquire();
  assert.ok(job);
  await bring(job, { log: 'log\n', outputs: { 'out.txt': 'text\n' } });
  middle.onAnswer = (answer, { path }) => {
    if (!/^\/api\/v1\/(task\/get_details|job\/get_files)/.test(path)) return;
    answer.body = Buffer.from(
      answer.body
        .toString()
        .replace(/"(grant|signature)":"[^"]*",?/g, '')
        .replaceAll(',}', '}'),
    );
  };
  const hidden = await fetchBy(signed, task, 'second');
  assert.match(hidden.stderr, /Nothing tells whether these results are genuine: task \d+ was not signed for/);
  assert.equal((await fetchBy(signed, task)).status, 1, 'the device that signed refuses');
});

test('a device without the key opens nothing, and says that it does not check', async (t) => {
  const signed = await newSigned(t);
  const { submit, acquire, bring, pbook, folder } = signed;
  const env = { PANDA_CONFIG_ROOT: join(folder, 'none') };
  const [sealed, plain] = [await submit('--sealResults'), await submit()];
  for (const job of await acquire()) {
    await bring(job, { live: ['one\n'], state: 'running' });
    await bring(job, { outputs: { 'out.txt': 'text\n' }, state: 'running' });
  }
  for (const args of [['logs'], ['logs', '-f'], ['get_outputs', '--dir', join(folder, 'nothing')]]) {
    const { status, stdout, stderr } = await pbook([...args, String(sealed)], { env });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /are sealed, and this device does not have the key/);
  }
  assert.ok(!existsSync(join(folder, 'nothing')));
  const { status, stderr, text } = await fetchBy(signed, plain, 'none');
  assert.deepEqual([status, text], [0, 'text\n']);
  assert.match(stderr, /does not have the key by which that is checked/);
});

test('what a device knows of its tasks is private, and a second task of one number is not signed for', async (t) => {
  const signed = await newSigned(t);
  const { submit, prun, folder, middle } = signed;
  const task = await submit();
  const file = join(folder, 'config', 'sealed', 'tasks', String(task));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/task/submit')) return;
    answer.body = Buffer.from(answer.body.toString().replaceAll(String(task + 1), String(task)));
  };
  const args = ['--exec', 'true', '--outDS', 'user.alice.again', '--useSecrets=TOKEN', '--site', 'default'];
  const sent = () => middle.exchanges.filter(({ path }) => path.startsWith('/api/v1/task/grant')).length;
  const before = sent();
  const { status, stderr } = await prun(args, { cwd: join(folder, 'work') });
  assert.equal(status, 1);
  assert.match(stderr, /gave the number \d+ to a second task/);
  assert.equal(sent(), before);
  rmSync(file);
});

test('--sealResults is for tasks that are signed for', async (t) => {
  const { prun, folder, done, middle } = await newSigned(t);
  const cwd = join(folder, 'work');
  const task = ['--exec', 'true', '--outDS', 'user.alice.plain', '--sealResults'];
  assert.match((await prun(task, { cwd })).stderr, /--sealResults goes with --useSecrets/);
  await done('set_secret', 'PLAIN', 'a-plain-one', '--plain');
  const plain = await prun([...task, '--useSecrets=PLAIN', '--site', 'default'], { cwd });
  assert.equal(plain.status, 1);
  assert.match(plain.stderr, /--sealResults needs a secret that is sealed/);
  assert.ok(!middle.exchanges.some(({ path }) => path.startsWith('/api/v1/task/submit')));
});
