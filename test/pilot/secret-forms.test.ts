import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { pilotFor } from './pilots.ts';

const LOOK = [
  'for f in panda_secrets.json key; do test -e $f && echo $f; done > seen',
  'test -n "$MY_SECRET" && echo variable >> seen',
  'echo "value: random-string-of-alice"',
].join('; ');
const SECRETS = { MY_SECRET: 'random-string-of-alice', '___file___:key': Buffer.from('binary').toString('base64') };

for (const [secretsAs, seen] of [
  ['json', 'panda_secrets.json\n'],
  ['env', 'variable\n'],
  ['files', 'key\n'],
  ['files,env', 'key\nvariable\n'],
] as const) {
  for (const kept of [true, false]) {
    const where = kept ? 'the folder for secrets' : 'the working directory';
    test(`a job that asked for ${secretsAs} finds its secrets so and in no other form, kept in ${where}`, async (t) => {
      const { panda, run, log, folder, secretsFolder } = await pilotFor(t);
      panda.add({ command: LOOK, secretsAs, secrets: SECRETS, outputs: { seen: 'u.seen' } });
      await run(kept ? {} : { secretsFolder: undefined });
      assert.equal(panda.uploads.get('output/u.seen')?.toString(), seen);
      assert.match(log(), /value: \*\*\*\n/, 'masked whatever the form');
      assert.deepEqual([...readdirSync(folder), ...readdirSync(secretsFolder)], []);
    });
  }
}

test('a sandbox keeps its own panda_secrets.json when the job asked for variables alone', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({
    command: 'cat panda_secrets.json > seen',
    sandbox: [{ path: 'panda_secrets.json', content: 'of the sandbox' }],
    secretsAs: 'env',
    secrets: SECRETS,
    outputs: { seen: 'u.seen' },
  });
  await run();
  assert.equal(panda.uploads.get('output/u.seen')?.toString(), 'of the sandbox');
});

test('the log says what is too large for a variable, and how else to have it', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'true', secretsAs: 'env', secrets: { LARGE: 'x'.repeat(200_000) } });
  await run();
  assert.match(log(), /LARGE: not given as an environment variable, having no room .*: use --secretsAs with json/);
});

test('the log says how many secrets may not go to the queue', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'true', secretsLeftOut: 2 });
  await run();
  assert.match(log(), /not here because they may not go to queue default: 2\n/);
});

test('the log says how many secrets are sealed, and not for the job', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'true', changed: { secretsSealedLeftOut: 3 } });
  await run();
  assert.match(log(), /not here because their owner sealed them, and not for this job: 3\n/);
});

test('the log passes on no words of the server in the place of such a number', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'true', changed: { secretsSealedLeftOut: '3 or so', secretsExpired: 1.5 } });
  await run();
  assert.doesNotMatch(log(), /not here because/);
});
