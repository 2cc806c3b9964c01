import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { pilotFor } from './pilots.ts';

const VALUE = 'random-string-of-alice';
const JOB = {
  // Without the option that keeps the directory with the secrets out, as other archivers do.
  command:
    'unset TAR_OPTIONS; tar chzf /tmp/leak-$$.tgz . ; mv /tmp/leak-$$.tgz all.tgz; echo fine > ok.txt; printf %s "$MY_SECRET" | base64 > enc.txt',
  outputs: { 'all.tgz': 'u.all', 'ok.txt': 'u.ok', 'enc.txt': 'u.enc' },
  secrets: { MY_SECRET: VALUE, OTHER: 'not-in-the-second-one' },
};

test('outputs that hold secrets are told in the log and in the end of the job, by number and not by name', async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add(JOB);
  assert.equal(await run(), 1);
  const { pilot_error_diag: told } = await panda.reported('finished');
  const finding = `the output "all.tgz" holds 2 of the job's secrets; the output "enc.txt" holds one of the job's secrets`;
  assert.equal(told, finding);
  for (const part of finding.split('; ')) assert.ok(log().includes(`panda-pilot: ${part}\n`));
  assert.doesNotMatch(log(), /MY_SECRET|random-string/);
  assert.deepEqual([...panda.uploads.keys()].filter((key) => key.startsWith('output/')).sort(), [
    'output/u.all',
    'output/u.enc',
    'output/u.ok',
  ]);
  assert.ok(gunzipSync(panda.uploads.get('output/u.all') ?? '').includes(VALUE), 'it is what the job packed');
});

test('with hold such outputs stay here, and the job finishes', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ ...JOB, leakedOutputs: 'hold' });
  assert.equal(await run(), 1);
  assert.match(
    String((await panda.reported('finished'))['pilot_error_diag']),
    /"enc\.txt" holds one .* and is held back/,
  );
  assert.deepEqual(
    [...panda.uploads.keys()].filter((key) => key.startsWith('output/')),
    ['output/u.ok'],
  );
});

test('an output that is not searched to its end is brought back with a note, or held back, or fails the job', async (t) => {
  const nest = 'echo fine > a; for each in 1 2 3 4 5 6 7; do gzip -c a > b; mv b a; done';
  for (const leakedOutputs of ['warn', 'hold', 'fail'] as const) {
    await t.test(leakedOutputs, async (t) => {
      const { panda, run, log } = await pilotFor(t);
      panda.add({ command: nest, outputs: { a: 'u.a' }, secrets: { MY_SECRET: VALUE }, leakedOutputs });
      assert.equal(await run(), 1);
      const end = await panda.reported(leakedOutputs === 'fail' ? 'failed' : 'finished');
      assert.match(log(), /the output "a" is too large to be searched for secrets/);
      if (leakedOutputs !== 'warn') assert.match(String(end['pilot_error_diag']), /"a" is too large to be searched/);
      const isUploaded = [...panda.uploads.keys()].some((key) => key.startsWith('output/'));
      assert.equal(isUploaded, leakedOutputs === 'warn');
    });
  }
});

test('with fail the job fails with that reason, and brings no output back', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ ...JOB, leakedOutputs: 'fail' });
  assert.equal(await run(), 1);
  const end = await panda.reported('failed');
  assert.match(String(end['pilot_error_diag']), /^the output "all\.tgz" holds 2 of the job's secrets; /);
  assert.deepEqual(
    [...panda.uploads.keys()].filter((key) => key.startsWith('output/')),
    [],
  );
});
