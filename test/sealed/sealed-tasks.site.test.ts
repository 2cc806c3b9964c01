import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { wireName } from '../../src/protocol/names.ts';
import { type AdmittedJob, admitJob, openGranted } from '../../src/sealed/admission.ts';
import { readGrant } from '../../src/sealed/grant.ts';
import { keyFolder } from '../../src/sealed/own-keys.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import type { Outcome } from '../cli/run.ts';
import type { Exchange, Middle } from '../server/middle.ts';
import { answerSecrets, type Device, NOW, siteOf } from './device.ts';
import { newDeviceOfSite, VALUE } from './node.ts';
import { grantOf, userNumber } from './samples.ts';

type Site = Awaited<ReturnType<typeof siteOf>>;

/** A user with a sealed secret, at a server in whose queue a site runs that the user trusts. */
interface Submitter extends Device {
  site: Site;
  /** Submits a task with a name of its own. */
  submit(...args: string[]): Promise<Outcome>;
  /** Jobs that a pilot with the site's key gets, and what came with them. */
  acquire(sealed?: boolean): Promise<{ job: PilotJob; delivered: [string, string][] }[]>;
  /** What the site's pilot makes of it. */
  admit(given: { job: PilotJob; delivered: [string, string][] }): AdmittedJob | undefined;
  /** Requests of the client to a call. */
  sent(call: string): Exchange[];
  grants(): string[];
}

async function newSubmitter(t: TestContext): Promise<Submitter> {
  const { device, site, work } = await newDeviceOfSite(t);
  const { pilot, session } = await device.server.joinedPilot();
  let tasks = 0;
  const sent = (call: string) =>
    device.middle.exchanges.filter(({ path }) => path.split('?', 1)[0] === `/api/v1/${call}`);
  return {
    ...device,
    site,
    sent,
    grants: () => sent('task/grant').map(({ body }) => JSON.parse(body.toString()).grant),
    async submit(...args) {
      tasks += 1;
      const task = ['--exec', 'sh run.sh %RNDM:1', '--outDS', `user.alice.t${tasks}`, ...args];
      return await device.prun(task, { cwd: work });
    },
    async acquire(sealed = true) {
      const recipient = await newRecipient();
      const request = { site_name: 'default', node: 'n', n_jobs: 10, sealed, sealing_keys: recipient.offers };
      const jobs = await pilot.acquireJobs(request);
      return await Promise.all(
        jobs.map(async (job) => {
          if (!job.sealedSecrets) return { job, delivered: [] };
          const { owner: ownerId } = job.sealedSecrets;
          const context = { jobId: job.PandaID, attempt: job.attemptNr, ownerId, pilotId: session.pilotId };
          const text = Buffer.from(await recipient.open(job.sealedSecrets, context)).toString();
          return { job, delivered: Object.entries(JSON.parse(text)) as [string, string][] };
        }),
      );
    },
    admit: ({ job, delivered }) =>
      admitJob(
        {
          grant: job.grant,
          taskId: job.taskID,
          serial: job.serial,
          attempt: job.grantAttempt,
          parameters: job.jobPars,
          delivered,
        },
        { site: site.id, now: NOW },
      ),
  };
}

test('prun signs for a task with sealed secrets, and its jobs are admitted with them', async (t) => {
  const { submit, acquire, admit, site, server, middle, grants, done } = await newSubmitter(t);
  const { status, stdout, stderr } = await submit(
    ...['--useSecrets=TOKEN', '--site', 'default', '--nJobs', '2', '--outputs', 'out.txt', '--secretsAs', 'env,json'],
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /the jobs get TOKEN, sealed for default/);
  const jobs = await acquire();
  assert.equal(jobs.length, 2);
  for (const given of jobs) {
    const admitted = admit(given);
    assert.ok(admitted);
    const opened = await openGranted(admitted, [site.node.age.identity], site.id);
    assert.deepEqual(
      opened.map(({ name, value }) => [name, value.reveal()]),
      [['TOKEN', VALUE]],
    );
    assert.deepEqual(admitted.payload.secretForms, ['json', 'env']);
    assert.equal(admitted.grant.results, null);
  }
  const grant = readGrant(grants()[0] ?? '');
  assert.deepEqual([grant.sites, grant.jobs], [[site.id], 2]);
  const { pilot } = await server.joinedPilot();
  const { sandbox, sourceUrl } = admit(jobs[0] as (typeof jobs)[0])?.payload ?? {};
  assert.equal(sourceUrl, middle.url, 'the server that the user named, whatever it calls itself');
  const content = await buffer(await pilot.downloadSandbox(`${server.url}/cache/${sandbox}`));
  assert.equal(createHash('sha256').update(content).digest('hex'), grant.template.sandboxSha256);

  await done('set_secret', 'SECOND', 'another value');
  const all = await submit('--useSecrets', '--site', 'default');
  assert.equal(all.status, 0, all.stderr);
  assert.match(all.stdout, /the jobs get (TOKEN, SECOND|SECOND, TOKEN), sealed/);
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/file_server/validate_cache_file')) return;
    const envelope = JSON.parse(answer.body.toString());
    answer.body = Buffer.from(
      JSON.stringify({ ...envelope, message: 'FOUND:https://elsewhere.example:jobO.x.tar.gz' }),
    );
  };
  const elsewhere = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(elsewhere.status, 0, elsewhere.stderr);
  const { sourceUrl: origin } = readGrant(grants()[2] ?? '').template;
  assert.equal(origin, middle.url, 'no server chooses from where nodes fetch');
  assert.deepEqual(
    readGrant(grants()[1] ?? '').secrets.map(({ name }) => name),
    ['SECOND', 'TOKEN'],
  );
});

test('26 a task has sealed secrets or plain ones, whatever the server calls sealed', async (t) => {
  const { submit, acquire, done, middle, sent, folder } = await newSubmitter(t);
  await done('set_secret', 'PLAIN', 'a-plain-one', '--plain');
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/creds/list_user_secrets')) return;
    const envelope = JSON.parse(answer.body.toString());
    for (const secret of envelope.data) secret.sealed = false;
    answer.body = Buffer.from(JSON.stringify(envelope));
  };
  const both = await submit('--useSecrets=TOKEN,PLAIN', '--site', 'default');
  assert.equal(both.status, 1);
  assert.match(both.stderr, /TOKEN: sealed, and PLAIN is not.*"pbook set_secret PLAIN" seals/);
  const nowhere = await submit('--useSecrets=TOKEN');
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.stderr, /--site QUEUE/);
  const untrusted = await submit('--useSecrets=TOKEN', '--site', 'elsewhere');
  assert.match(untrusted.stderr, /the site of elsewhere is not trusted/);
  const taken = await submit('--useSecrets=TOKEN', '--site', 'default', '--outputs', 'panda_secrets.json');
  assert.equal(taken.status, 1, 'an output that would bring the secrets back');
  assert.deepEqual(sent('task/submit'), [], 'nothing was submitted');

  const sealed = await submit('--useSecrets', '--site', 'default');
  assert.equal(sealed.status, 0, sealed.stderr);
  assert.match(sealed.stderr, /PLAIN: not sealed, and left out/);
  const task = JSON.parse(sent('task/submit')[0]?.body.toString() ?? '').task_parameters;
  assert.deepEqual([task.sealed, task.secretNames], [true, ['TOKEN']], 'its own mark counts');
  const plain = await submit('--useSecrets=PLAIN');
  assert.equal(plain.status, 0, plain.stderr);
  assert.deepEqual(
    (await acquire(false)).map(({ delivered }) => delivered),
    [[['PLAIN', 'a-plain-one']]],
  );

  await done('delete_secret', 'TOKEN');
  middle.onAnswer = () => {};
  const gone = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /no plain one can take its place/);

  rmSync(join(folder, 'config', 'sealed', 'key'));
  const before = sent('task/submit').length;
  const keyless = await submit('--useSecrets');
  assert.equal(keyless.status, 1);
  assert.match(keyless.stderr, /its key is gone: "pbook keys import".*--useSecrets=NAME/);
  assert.equal(sent('task/submit').length, before, 'nothing was submitted');
  assert.equal((await submit('--useSecrets=PLAIN')).status, 0, 'what is named as plain goes on');
});

test('a secret goes to the queues that its owner named alone, of those that are trusted', async (t) => {
  const { submit, done, folder, sent, keys } = await newSubmitter(t);
  const { id, word } = await siteOf(2, { queue: 'elsewhere' });
  const known = keyFolder(join(folder, 'config'));
  await known.sites.trust('elsewhere', id, word, NOW);
  await done('set_secret', 'OTHER', 'for-elsewhere');
  // The server has no such queue, and so says nothing of it.
  await known
    .marks(keys.signer.publicKey)
    .make(wireName('OTHER'), { queues: ['elsewhere'], sites: [id], now: Date.now() });
  const { status, stderr } = await submit('--useSecrets=OTHER', '--site', 'default');
  assert.equal(status, 1);
  assert.match(stderr, /"OTHER" goes to elsewhere only: the task is for queue default/);
  assert.deepEqual(sent('task/submit'), [], 'this device says so, and not the server');
});

test('a device without the key gives no sealed secret, and says so', async (t) => {
  const { prun, folder, sent } = await newSubmitter(t);
  const env = { PANDA_CONFIG_ROOT: join(folder, 'second') };
  const cwd = join(folder, 'work');
  const task = ['--exec', 'true', '--outDS', 'user.alice.other', '--site', 'default'];
  const named = await prun([...task, '--useSecrets=TOKEN'], { env, cwd });
  assert.equal(named.status, 1);
  assert.match(named.stderr, /TOKEN: sealed.*"pbook keys import"/);
  const all = await prun([...task, '--useSecrets'], { env, cwd });
  assert.equal(all.status, 0, all.stderr);
  assert.match(all.stderr, /TOKEN: sealed.*jobs do not get it/);
  assert.deepEqual(sent('task/grant'), []);
});

test('a secret that was deleted on another device stops a task with the way on', async (t) => {
  const { submit, pbook, done, folder, sent } = await newSubmitter(t);
  const other = { env: { PANDA_CONFIG_ROOT: join(folder, 'second') } };
  assert.equal((await pbook(['delete_secret', 'TOKEN'], other)).status, 0);
  const stopped = await submit('--useSecrets', '--site', 'default');
  assert.equal(stopped.status, 1);
  assert.match(
    stopped.stderr,
    /TOKEN was sealed on this device, and the server has it no more.*"pbook delete_secret TOKEN"/,
  );
  assert.deepEqual(sent('task/submit'), []);
  await done('delete_secret', 'TOKEN');
  const { status, stderr } = await submit('--useSecrets', '--site', 'default');
  assert.equal(status, 0, stderr);
});

test('secrets are sealed anew for a site that renewed its key, and what the server shows otherwise stops the task', async (t) => {
  const { submit, publish, site, acquire, admit, middle, sent, done, kept } = await newSubmitter(t);
  const old = await kept('TOKEN');
  const renewed = await siteOf(1, { serial: 2 });
  await publish(renewed.word);
  const good = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /TOKEN is sealed anew for default/);
  const [given] = await acquire();
  assert.ok(given);
  const admitted = admit(given);
  assert.ok(admitted);
  const [opened] = await openGranted(admitted, [site.node.age.identity], site.id);
  assert.deepEqual(opened?.sites, [{ id: site.id, serial: 2 }]);

  const before = sent('task/submit').length;
  for (const [what, secrets, code] of [
    ['the one before', { TOKEN: old }, /older than what was sealed later/],
    ['a plain one', { TOKEN: 'injected' }, /the server has something else/],
    ['none', {}, /the server has it no more/],
  ] as const) {
    answerSecrets(middle, secrets);
    const { status, stderr } = await submit('--useSecrets=TOKEN', '--site', 'default');
    assert.equal(status, 1, what);
    assert.match(stderr, code, what);
  }
  answerSecrets(middle, undefined);
  const other = await siteOf(2, { serial: 9 });
  await publish(other.word);
  const { status, stderr } = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(status, 1);
  assert.match(stderr, /another site than the one that is trusted/);
  assert.equal(sent('task/submit').length, before);
  await done('keys', 'untrust', 'default');
  assert.match((await submit('--useSecrets=TOKEN', '--site', 'default')).stderr, /is not trusted on this device/);
});

test('a task whose grant never came runs nothing, and its user is told the way on', async (t) => {
  const { submit, acquire, middle } = await newSubmitter(t);
  middle.onRequest = (request) => {
    if (request.path === '/api/v1/task/grant') request.path = '/api/v1/task/nothing';
  };
  const { status, stderr } = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(status, 1);
  assert.match(stderr, /task \d+ has no grant, and starts nothing: "pbook kill \d+"/);
  assert.deepEqual(await acquire(), []);
});

test('27, 28 pbook retry signs again only for what its user signed for that task before', async (t) => {
  const { submit, acquire, admit, middle, grants, sent, done, pbook, publish, site } = await newSubmitter(t);
  for (const more of [[], ['--nJobs', '2']]) {
    const { status, stderr } = await submit('--useSecrets=TOKEN', '--site', 'default', ...more);
    assert.equal(status, 0, stderr);
  }
  const [first = '', second = ''] = grants();
  const [{ task }, { task: other }] = [readGrant(first), readGrant(second)];
  await done('kill', String(task), String(other));
  assert.match(await done('show', String(task)), new RegExp(`${task}: its grant ends on 20\\d\\d-`));

  const [payload = '', signature = ''] = first.split('.');
  const changed = Buffer.from(payload, 'base64url').toString().replace('run.sh', 'evil.sh');
  const foreign = grantOf(await userNumber(9), [site.id], { task });
  const cases: [string, string | undefined, RegExp][] = [
    ['another template', `${Buffer.from(changed).toString('base64url')}.${signature}`, /not signed by the key/],
    ["another task's", second, new RegExp(`is for task ${other}, not ${task}`)],
    ["somebody else's", foreign, /is not yours/],
    ['no word', 'AAAA.BBBB', /malformed/],
    ['none', undefined, /never had a grant.*pbook kill/],
  ];
  for (const [what, grant = null, message] of cases) {
    answerGrant(middle, grant);
    const { status, stderr } = await pbook(['retry', String(task)]);
    assert.equal(status, 1, what);
    assert.match(stderr, message, what);
  }
  assert.equal(grants().length, 2);
  assert.deepEqual(sent('task/retry'), [], 'nothing is revived either');

  middle.onAnswer = () => {};
  await publish((await siteOf(1, { serial: 2 })).word);
  const said = await done('retry', String(task));
  assert.match(said, new RegExp(`TOKEN is sealed anew[^]*runs: sh run.sh[^]*at default \\(${site.id}\\), with TOKEN`));
  const [again] = await acquire();
  assert.ok(again);
  assert.equal(admit(again)?.grant.task, task);
  const { nonce, end, ...rest } = readGrant(grants()[2] ?? '');
  const { nonce: before, end: ended, ...same } = readGrant(first);
  assert.deepEqual(rest, same);
  assert.notEqual(nonce, before);
  assert.ok(end >= ended);

  await done('keys', 'untrust', 'default');
  const distrusted = await pbook(['retry', String(other)]);
  assert.match(distrusted.stderr, /do not trust any more/);
  assert.equal(grants().length, 3);
});

test('a task that waits for its new grant gets it without being retried once more', async (t) => {
  const { submit, acquire, admit, middle, grants, sent, done, pbook } = await newSubmitter(t);
  const { status, stderr } = await submit('--useSecrets=TOKEN', '--site', 'default');
  assert.equal(status, 0, stderr);
  const { task } = readGrant(grants()[0] ?? '');
  await done('kill', String(task));
  // The first word that is signed again is lost on its way.
  middle.onRequest = (request) => {
    if (request.path === '/api/v1/task/grant') request.path = '/api/v1/task/nothing';
  };
  assert.equal((await pbook(['retry', String(task)])).status, 1);
  assert.deepEqual(await acquire(), [], 'nothing runs meanwhile');
  middle.onRequest = () => {};
  await done('retry', String(task));
  assert.equal(sent('task/retry').length, 1);
  const [given] = await acquire();
  assert.ok(given);
  assert.equal(admit(given)?.grant.task, task);

  await done('kill', String(task));
  await done('delete_secret', 'TOKEN');
  const before = grants().length;
  const gone = await pbook(['retry', String(task)]);
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /TOKEN, which task \d+ needs, was deleted here/);
  assert.equal(grants().length, before, 'nothing is signed for a secret that was deleted');
});

function answerGrant(middle: Middle, grant: string | null): void {
  middle.onAnswer = (answer, { path }) => {
    if (!path.startsWith('/api/v1/task/get_details')) return;
    const envelope = JSON.parse(answer.body.toString());
    envelope.data.grant = grant;
    answer.body = Buffer.from(JSON.stringify(envelope));
  };
}
