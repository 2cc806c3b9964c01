import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AttemptFailed } from '../../src/protocol/errors.ts';
import { until, whereIs } from './folders.ts';
import { pilotFor } from './pilots.ts';

const VALUE = 'random-string-of-alice';

test('a job gets its secrets as JSON, as environment variables and as files, and its owner gets output and log back', async (t) => {
  const { panda, run, log, folder, secretsFolder } = await pilotFor(t);
  panda.add({
    command: 'sh my_job.sh',
    sandbox: [
      {
        path: './my_job.sh',
        content: [
          'cat panda_secrets.json > json.txt',
          'printf %s "$MY_SECRET" > variable.txt',
          'cat key.pem > file.txt',
          'stat -L -c %a panda_secrets.json key.pem . > modes.txt',
          'echo "the value is $MY_SECRET"; echo "$MY_SECRET" >&2',
        ].join('\n'),
      },
    ],
    outputs: { 'json.txt': 'u.json', 'variable.txt': 'u.variable', 'file.txt': 'u.file', 'modes.txt': 'u.modes' },
    secrets: { MY_SECRET: VALUE, '___file___:key.pem': Buffer.from('binary\0key').toString('base64') },
  });
  assert.equal(await run(), 1);

  const output = (name: string) => panda.uploads.get(`output/${name}`)?.toString();
  assert.deepEqual(JSON.parse(output('u.json') ?? ''), {
    MY_SECRET: VALUE,
    '___file___:key.pem': Buffer.from('binary\0key').toString('base64'),
  });
  assert.equal(output('u.variable'), VALUE);
  assert.equal(output('u.file'), 'binary\0key');
  assert.equal(output('u.modes'), '600\n600\n700\n');
  assert.match(log(), /the value is \*\*\*\n/);
  assert.ok(!log().includes(VALUE));
  const end = await panda.reported('finished');
  assert.deepEqual(
    [end['attempt_nr'], end['trans_exit_code'], end['node'], end['site_name']],
    [1, 0, 'node1', 'default'],
  );
  assert.deepEqual(readdirSync(folder), []);
  assert.deepEqual(readdirSync(secretsFolder), []);
});

test('nothing secret is left on the node when the first result leaves it', async (t) => {
  const { panda, run, folder, secretsFolder } = await pilotFor(t);
  const left: string[] = [];
  panda.onResult = (what) => left.push(...whereIs(VALUE, folder, secretsFolder).map((path) => `${what}: ${path}`));
  panda.add({
    command:
      'cp panda_secrets.json copy.json; mkdir -p deep/er; env > deep/er/env; cp key deep; echo $A; chmod 0 deep/er; echo done > out',
    outputs: { out: 'u.out' },
    secrets: { A: VALUE, '___file___:key': Buffer.from(VALUE).toString('base64') },
  });
  await run();
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'done\n');
  assert.deepEqual(left, []);
});

test('secrets that a job hides deeper than a path may be long go as well', async (t) => {
  const { panda, run, folder, secretsFolder } = await pilotFor(t);
  const hide =
    'top=$PWD; for n in $(seq 40); do mkdir $NAME && cd -P $NAME || exit; done; echo $A > copy; chmod 500 .; cd $top';
  for (const where of ['.', '$(dirname $PANDA_SECRETS_FILE)', '$TMPDIR']) {
    panda.add({ command: `cd ${where}; ${hide}`, secrets: { A: VALUE, NAME: 'd'.repeat(200) } });
  }
  const left: string[] = [];
  panda.onResult = (what) => left.push(...whereIs(VALUE, folder, secretsFolder).map((path) => `${what}: ${path}`));
  assert.equal(await run({ jobs: 3 }), 3);
  assert.equal(panda.reports.filter((report) => report['job_status'] === 'finished').length, 3);
  assert.deepEqual([left, readdirSync(folder), readdirSync(secretsFolder)], [[], [], []]);
});

for (const where of ['working directory', 'folder for secrets'] as const) {
  test(`while the job runs the secrets' files are in the ${where}`, async (t) => {
    const { panda, run, folder, secretsFolder } = await pilotFor(t);
    panda.add({
      command: 'touch ready; while [ -e ready ]; do sleep 0.02; done',
      secrets: { 'not-a-variable': VALUE },
    });
    const running = run(where === 'working directory' ? { secretsFolder: undefined } : {});
    await panda.reported('running');
    const found = await until(
      () => whereIs(VALUE, folder, secretsFolder),
      (paths) => paths.length > 0,
    );
    assert.deepEqual(
      found.map((path) => path.startsWith(secretsFolder)),
      [where === 'folder for secrets'],
    );
    panda.killing = true;
    await running;
    assert.deepEqual(whereIs(VALUE, folder, secretsFolder), []);
  });
}

test('every request offers keys of its own', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'true' }, { command: 'true' });
  await run({ jobs: 2 });
  const keys = panda.offers.flat().map((offer) => offer.public_key);
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(panda.offers.every((offers) => offers.some(({ kem }) => kem === 'X25519')));
});

test('secrets that were sealed for another pilot fail the job before it starts', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'echo started', secrets: { A: VALUE }, sealedFor: 'pilot:default:other' });
  await run();
  const end = await panda.reported('failed');
  assert.equal(end['pilot_error_code'], 1364);
  assert.match(String(end['pilot_error_diag']), /secrets do not open/);
  assert.ok(!log().includes('started'));
});

test('secrets that come unsealed fail the job before it starts, as the pilot always offers keys', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'echo started', changed: { secrets: JSON.stringify({ A: VALUE }) } });
  await run();
  const end = await panda.reported('failed');
  assert.deepEqual([end['pilot_error_code'], /came unsealed/.test(String(end['pilot_error_diag']))], [1364, true]);
  assert.ok(!log().includes('started'));
});

test('a job whose number is a path makes no directory and no file', async (t) => {
  const { panda, run, folder, secretsFolder } = await pilotFor(t);
  const elsewhere = join(folder, 'elsewhere');
  panda.add({ command: 'true', secrets: { A: VALUE }, changed: { PandaID: `/../../${'../'.repeat(20)}${elsewhere}` } });
  const seen: string[] = [];
  panda.onResult = () => seen.push(...readdirSync(folder).filter((name) => !name.startsWith('pilot-')));
  await run();
  assert.match(
    String((await panda.reported('failed'))['pilot_error_diag']),
    /could not do its work \(ERR_INVALID_ARGUMENT\)/,
  );
  assert.deepEqual([seen, readdirSync(folder), readdirSync(secretsFolder)], [[], [], []]);
});

test('a file secret writes nowhere outside, the job still runs, and its log names what is no file', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  const evil = Buffer.from('evil').toString('base64');
  panda.add({
    command:
      'ls -a .. ../.. > out; python3 -c "import json; print(len(json.load(open(\'panda_secrets.json\'))))" >> out',
    outputs: { out: 'u.out' },
    secrets: {
      '___file___:../escaped': evil,
      '___file___:/tmp/panda-pilot-escaped': evil,
      '___file___:..': evil,
      '___file___:panda_secrets.json': evil,
      '___file___:not-base64': 'é%%%',
    },
  });
  await run();
  await panda.reported('finished');
  const out = panda.uploads.get('output/u.out')?.toString() ?? '';
  assert.ok(out.endsWith('5\n') && !out.includes('escaped'), out);
  assert.match(log(), /\.\.\/escaped, .*, not-base64: not written as a file, .*: read panda_secrets\.json\n/);
});

test("a panda_secrets.json that the sandbox brings gives way to the job's own", async (t) => {
  const { panda, run } = await pilotFor(t);
  const fake = { path: './panda_secrets.json', content: '{"A": "fake"}' };
  const below = { path: 'sub/panda_secrets.json/fake', content: 'fake' };
  const command = 'cp panda_secrets.json out';
  panda.add(
    { command, sandbox: [fake], outputs: { out: 'u.real' }, secrets: { A: VALUE } },
    { command, runDirectory: 'sub', sandbox: [below], outputs: { out: 'u.below' }, secrets: { A: VALUE } },
    { command, sandbox: [fake], outputs: { out: 'u.own' } },
  );
  await run({ jobs: 3 });
  for (const name of ['output/u.real', 'output/u.below']) {
    assert.equal(panda.uploads.get(name)?.toString(), JSON.stringify({ A: VALUE }));
  }
  assert.equal(panda.uploads.get('output/u.own')?.toString(), fake.content);
});

test('a job runs where its parameters say, and not outside its own directory', async (t) => {
  const { panda, run } = await pilotFor(t);
  const sandbox = [{ path: 'sub/here', content: 'x' }];
  panda.add(
    { command: 'ls > out', runDirectory: 'sub', sandbox, outputs: { out: 'u.out' }, secrets: { A: VALUE } },
    { command: 'true', runDirectory: '../..' },
  );
  await run({ jobs: 2 });
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'here\nout\npanda_secrets.json\n');
  const end = await panda.reported('failed');
  assert.match(String(end['pilot_error_diag']), /outside its own directory/);
});

test('a secret that is printed in pieces, on both streams and without a line end is masked', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
  const halves = 'printf "%s" "${A%-of-alice}"; sleep 0.1; printf "%s" "-of-alice"';
  panda.add({ command: `${halves}; echo; { ${halves}; } >&2; sleep 0.1; ${halves}`, secrets: { A: VALUE } });
  await run();
  assert.ok(!log().includes('random-string') && !log().includes('of-alice'), log());
  assert.equal(log().match(/\*\*\*/g)?.length, 3);
});

test('a log says how many secrets are not masked in it, and not which', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  const secrets = {
    SHORT: 'abc',
    COMMON: 'true',
    LARGE: 'x7_'.repeat(300_000),
    ANOTHER: 'y8_'.repeat(300_000),
    A: VALUE,
  };
  panda.add({ command: 'echo $SHORT $A', secrets });
  await run();
  assert.match(log(), /2 secrets are too short or too common to be masked in this log\n/);
  assert.match(log(), /secrets? (is|are) too large to be masked in every encoding\n/);
  assert.match(log(), /abc \*\*\*\n/);
  assert.ok(!/SHORT|COMMON/.test(log()));
});

test('a value that no variable can hold is left out of the environment, and the job runs', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    command: 'printf "%s|%s|%s" "${#OK}" "${#BIG}" "${NUL-none}" > out; wc -c < panda_secrets.json >> out',
    outputs: { out: 'u.out' },
    secrets: { OK: 'x'.repeat(100_000), BIG: 'y'.repeat(1_024_000), NUL: 'a\0b', PATH: '/evil', LD_PRELOAD: 'evil' },
  });
  await run();
  await panda.reported('finished');
  assert.match(panda.uploads.get('output/u.out')?.toString() ?? '', /^100000\|0\|none1124\d{3}\n$/);
  assert.match(log(), /BIG, NUL: not given as an environment variable, .*: read panda_secrets\.json\n/);
});

test("the payload's environment has nothing of the pilot's but what it needs and what the operator names", async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'env | cut -d= -f1 | sort > out; echo $HOME >> out; pwd >> out', outputs: { out: 'u.out' } });
  const own = {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    SITE_SETUP: 'x',
    OTHER: 'x',
    OIDC_AUTH_TOKEN_FILE: 'x',
    PANDA_AUTH_ID_TOKEN: 'x',
    NODE_OPTIONS: '',
  };
  await run({ environment: own, passOn: ['SITE_SETUP', 'PANDA_AUTH_ID_TOKEN', 'OIDC_AUTH_TOKEN_FILE'] });
  const lines = (panda.uploads.get('output/u.out')?.toString() ?? '').trimEnd().split('\n');
  assert.equal(lines.pop(), lines.pop(), 'the home is the working directory');
  assert.deepEqual(
    lines.filter((name) => !['_', 'PWD', 'OLDPWD', 'SHLVL'].includes(name)),
    [
      'HOME',
      'LANG',
      'LOGNAME',
      'PANDAID',
      'PANDA_PILOT_MARK',
      'PATH',
      'PanDA_AttemptNr',
      'PanDA_TaskID',
      'SITE_SETUP',
      'TMPDIR',
      'USER',
    ],
  );
});

test('a payload that fails is reported with its exit status, and its log comes', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'echo oh no >&2; exit 42', outputs: { out: 'u.out' } });
  await run();
  const end = await panda.reported('failed');
  assert.deepEqual([end['trans_exit_code'], end['exe_error_code'], end['pilot_error_code']], [42, 42, 1305]);
  assert.match(log(), /oh no\n/);
});

test('an output that was not made fails the job with its name', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'true', outputs: { 'out.txt': 'u.out' } });
  await run();
  const end = await panda.reported('failed');
  assert.deepEqual([end['pilot_error_code'], end['pilot_error_diag']], [1165, 'the output "out.txt" was not made']);
});

test("an output that is a link to the pilot's own files is not followed", async (t) => {
  const { panda, run, folder } = await pilotFor(t);
  writeFileSync(join(folder, 'token'), 'the-pilots-token');
  panda.add(
    { command: `ln -s ${join(folder, 'token')} out`, outputs: { out: 'u.1' } },
    { command: `ln -s ${folder} up`, outputs: { 'up/token': 'u.2' } },
    { command: 'cd ..; mv work gone; ln -s ../.. work', outputs: { token: 'u.3' } },
    { command: 'mkfifo out', outputs: { out: 'u.4' } },
    { command: 'ln -s $PWD/panda_secrets.json out', outputs: { out: 'u.5' }, secrets: { A: VALUE } },
  );
  await run({ jobs: 5 });
  assert.deepEqual(
    [...panda.uploads.keys()].filter((key) => key.startsWith('output/')),
    [],
  );
  assert.equal(panda.reports.filter((report) => report['job_status'] === 'failed').length, 5);
});

test('a pipe where the log is to be packed keeps the pilot no longer than any other job', async (t) => {
  const { panda, run, said } = await pilotFor(t);
  panda.add({ command: 'mkfifo ../log.tgz' });
  await run();
  await panda.reported('finished');
  assert.ok(
    said.some((line) => line.includes('EEXIST')),
    said.join('\n'),
  );
});

test('a job that its owner kills is ended at the next heartbeat', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({
    command: 'trap "" TERM; echo "$A started"; touch here; while [ -e here ]; do sleep 0.1; done',
    secrets: { A: VALUE },
  });
  const running = run();
  await panda.reported('running');
  panda.killing = true;
  await running;
  const end = await panda.reported('failed');
  assert.equal(end['pilot_error_code'], 1144);
  assert.ok(!log().includes(VALUE));
});

test('a job that the server gave to another pilot is ended, and the pilot goes on', async (t) => {
  const { panda, run, said } = await pilotFor(t);
  panda.add({ command: 'sleep 60' });
  const running = run();
  await panda.reported('running');
  panda.lost = true;
  assert.equal(await running, 1);
  assert.ok(said.some((line) => line.includes('the attempt is no longer yours')));
});

test('a job that takes longer than it may is ended', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'sleep 60', maxWalltime: 1 });
  await run();
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1213);
});

test('a pilot that is told to stop ends its job, reports it and leaves nothing', async (t) => {
  const { panda, run, stopping, folder, secretsFolder } = await pilotFor(t);
  panda.add({ command: 'sleep 60', secrets: { A: VALUE } }, { command: 'true' });
  const running = run({ jobs: 2 });
  await panda.reported('running');
  stopping.abort(new AttemptFailed(1201, 'the pilot was told to stop (SIGTERM)'));
  assert.equal(await running, 1);
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1201);
  assert.deepEqual([readdirSync(folder), readdirSync(secretsFolder)], [[], []]);
});

test('a payload that was told to stop before its pilot was does not fail by itself', async (t) => {
  const { panda, run, stopping, folder } = await pilotFor(t);
  panda.add({ command: 'touch pid-$$; exit 143' });
  const running = run();
  const files = () => readdirSync(folder, { recursive: true }).join('\n');
  const pid = /pid-(\d+)/.exec(await until(files, (names) => names.includes('pid-')))?.[1];
  await until(
    () => existsSync(`/proc/${pid}`),
    (isThere) => !isThere,
  );
  stopping.abort(new AttemptFailed(1201, 'the pilot was told to stop (SIGTERM)'));
  await running;
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1201);
});

test('results are kept while the server is away', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'touch $TMPDIR/x; sleep 0.3; echo result > out', outputs: { out: 'u.out' } });
  const running = run();
  await panda.reported('running');
  panda.broken = true;
  setTimeout(() => {
    panda.broken = false;
  }, 1500);
  await running;
  await panda.reported('finished');
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'result\n');
});

test('a hostile sandbox fails its job, with the reason', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'true', sandbox: [{ path: '../../evil', content: 'x' }] }, { command: 'true', sandbox: null });
  await run({ jobs: 2 });
  const end = await panda.reported('failed');
  assert.deepEqual(
    [end['pilot_error_code'], /leaves the working directory/.test(String(end['pilot_error_diag']))],
    [1099, true],
  );
  await panda.reported('finished');
});

test('a sandbox from elsewhere, which nothing proves, comes over https alone', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'true', sourceUrl: 'http://panda.example.org' });
  await run();
  assert.match(String((await panda.reported('failed'))['pilot_error_diag']), /over plain http others can change/);
});

test('jobs run at the same time in slots, and no more than were asked for', async (t) => {
  const { panda, run } = await pilotFor(t);
  for (let n = 0; n < 5; n++) panda.add({ command: `echo ${n} > out`, outputs: { out: `u.${n}` } });
  assert.equal(await run({ jobs: 4, slots: 3 }), 4);
  assert.equal([...panda.uploads.keys()].filter((key) => key.startsWith('output/')).length, 4);
});

test('slots that wait ask together, and each job finds its own secrets', async (t) => {
  const { panda, run } = await pilotFor(t);
  for (const n of [1, 2, 3]) {
    panda.add({
      command: 'printf %s "$MINE" > out',
      outputs: { out: `u.${n}` },
      secrets: { MINE: `the secret of ${n}` },
    });
  }
  assert.equal(await run({ jobs: 3, slots: 3 }), 3);
  assert.deepEqual(
    panda.requests.map(({ n_jobs }) => n_jobs),
    [3],
  );
  for (const n of [1, 2, 3]) assert.equal(panda.uploads.get(`output/u.${n}`)?.toString(), `the secret of ${n}`);
});

test('a pilot serves a server of an earlier release, which knows one format of deliveries', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.earlier = true;
  for (const n of [1, 2]) {
    panda.add({
      command: 'printf %s "$MINE" > out',
      outputs: { out: `u.${n}` },
      secrets: { MINE: `the secret of ${n}` },
    });
  }
  assert.equal(await run({ jobs: 2, slots: 2 }), 2);
  for (const n of [1, 2]) assert.equal(panda.uploads.get(`output/u.${n}`)?.toString(), `the secret of ${n}`);
});

test('a pilot without a job ends when it was idle for long enough', async (t) => {
  const { run } = await pilotFor(t);
  assert.equal(await run({ idleExitSeconds: 0.4 }), 0);
});

test('a secret wins over a file of the sandbox and a variable of the node, and the log says what gave way', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({
    command: 'cat k.pem > out; printf %s "$FOO" >> out; echo "$SITE_TOKEN"',
    sandbox: [{ path: 'k.pem', content: 'a stale key' }],
    outputs: { out: 'u.out' },
    secrets: { FOO: "user's", '___file___:k.pem': Buffer.from('the new key,').toString('base64') },
  });
  const environment = { PATH: process.env['PATH'], FOO: "operator's", SITE_TOKEN: 'operators-token' };
  await run({ environment, passOn: ['FOO', 'SITE_TOKEN'] });
  assert.equal(panda.uploads.get('output/u.out')?.toString(), "the new key,user's");
  assert.match(log(), /k\.pem: of the sandbox gave way to the secret of that name\n/);
  assert.match(log(), /\n\*\*\*\n/);
});

test('the log names secrets that reach the job in no form', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  const secrets = { 'db-password': VALUE, OK: VALUE, '___file___:key': Buffer.from('y').toString('base64') };
  panda.add({ command: 'ls -A > out', outputs: { out: 'u.out' }, secretsAs: 'env', secrets });
  await run();
  assert.match(
    log(),
    /db-password: not given as an environment variable, having no name for one: use --secretsAs with json/,
  );
  assert.match(log(), /key: not given in any form that the job asked for \(env\): use --secretsAs with json/);
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'out\n');
});

test('a job whose owner has no secrets finds an empty object', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'cp panda_secrets.json out', outputs: { out: 'u.out' }, secrets: {} });
  await run();
  assert.equal(panda.uploads.get('output/u.out')?.toString(), '{}');
});

for (const mode of ['off', 'auto'] as const) {
  test(`a command may be longer than an argument (isolation ${mode})`, async (t) => {
    const { panda, run } = await pilotFor(t);
    panda.add({ command: `: ${'x'.repeat(200_000)}; printf %s "$0" > out`, outputs: { out: 'u.out' } });
    await run({ mode });
    assert.match(panda.uploads.get('output/u.out')?.toString() ?? '', /panda-command\.sh$/);
  });
}
