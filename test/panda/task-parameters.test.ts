// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChangedParameters, parseTaskParameters } from '../../src/panda/task-parameters.ts';
import { PandaError } from '../../src/protocol/errors.ts';
import { parseJobParameters } from '../../src/protocol/job-parameters.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { FIRST_TASK_ID, MAX_JOB_PARAMETERS_CHARS, MAX_JOBS_PER_TASK } from '../../src/protocol/limits.ts';
import { taskParameters } from '../jobs/farm.ts';
import { processorTime } from '../took.ts';

const base = taskParameters('user.alice.test');
const parse = (change: Record<string, unknown>) => parseTaskParameters({ ...base, ...change });

test('the number of jobs follows from events, or is given, or is one', () => {
  assert.equal(parse({ nEvents: 3, nEventsPerJob: 1 }).jobCount, 3);
  assert.equal(parse({ nEvents: 10, nEventsPerJob: 4 }).jobCount, 3);
  assert.equal(parse({ nEvents: 10, nEventsPerJob: undefined }).jobCount, 1);
  assert.equal(parse({ nEvents: undefined, nJobs: 7 }).jobCount, 7);
  assert.equal(parse({ nEvents: undefined }).jobCount, 1);
});

test('more jobs than a task may have are refused', () => {
  assert.equal(parse({ nEvents: MAX_JOBS_PER_TASK }).jobCount, MAX_JOBS_PER_TASK);
  assert.throws(() => parse({ nEvents: MAX_JOBS_PER_TASK + 1 }), /these are 10001 jobs/);
});

test('attempts are the default, what is asked for, or one without automatic retries', () => {
  assert.equal(parse({}).maxAttempts, 3);
  assert.equal(parse({ maxAttempt: 7 }).maxAttempts, 7);
  assert.equal(parse({ maxAttempt: 7, disableAutoRetry: 1 }).maxAttempts, 1);
  assert.throws(() => parse({ maxAttempt: 51 }), /maxAttempt: at most 50/);
});

test('what a job may use is asked for in hours, MB per core or as a whole, and a unit of disk', () => {
  const limits = (change: Record<string, unknown>) => {
    const { maxWalltimeSeconds, memory, disk } = parse(change).template;
    return [maxWalltimeSeconds, memory, disk];
  };
  assert.deepEqual(limits({}), [0, 0, 0]);
  assert.deepEqual(limits({ maxWalltime: 2, ramCount: 1000, workDiskCount: 500 }), [7200, 1000, 500]);
  assert.deepEqual(limits({ ramCount: 1000, ramCountUnit: 'MBPerCore', coreCount: 8 }), [0, 8000, 0]);
  assert.deepEqual(limits({ ramCount: 1000, ramCountUnit: 'MBPerCoreFixed', coreCount: 8 }), [0, 8000, 0]);
  assert.deepEqual(limits({ workDiskCount: 2, workDiskUnit: 'GB' }), [0, 0, 2048]);
  assert.deepEqual(limits({ workDiskCount: 1500, workDiskUnit: 'kB' }), [0, 0, 2]);
  assert.throws(() => parse({ workDiskCount: 2, workDiskUnit: 'acres' }), /workDiskUnit: must be one of kB, MB, GB/);
  assert.throws(() => parse({ ramCount: 2 ** 31 }), /ramCount: at most/);
});

test('the queue is named by site or includedSite, or any', () => {
  assert.equal(parse({ site: null, includedSite: null, excludedSite: [] }).queue, null);
  assert.equal(parse({ site: 'AUTO' }).queue, null);
  assert.equal(parse({ site: 'gpu' }).queue, 'gpu');
  assert.equal(parse({ includedSite: ['gpu'] }).queue, 'gpu');
  assert.throws(() => parse({ includedSite: 'gpu,cpu' }), /site: one queue can be named, not gpu, cpu/);
  assert.throws(() => parse({ excludedSite: ['gpu'] }), /excludedSite: is not offered/);
});

test('secrets are all, none, or those named, as files too', () => {
  assert.deepEqual([parse({}).useSecrets, parse({}).secretNames], [false, null]);
  assert.deepEqual([parse({ useSecrets: true }).useSecrets, parse({ useSecrets: true }).secretNames], [true, null]);
  const named = parse({ secretNames: ['A', '___file___:b', 'A'] });
  assert.deepEqual([named.useSecrets, named.secretNames], [true, ['A', '___file___:b']]);
  assert.throws(() => parse({ secretNames: [] }), /at least one/);
  assert.deepEqual([named.sealed, parse({ secretNames: ['A'], sealed: true }).sealed], [false, true]);
  assert.throws(() => parse({ useSecrets: true, sealed: true }), /sealed: the secrets must be named/);
  assert.throws(() => parse({ secretNames: ['a=b'] }), { code: 'ERR_INVALID_NAME' });
});

test('how jobs find their secrets is said in their parameters, where it is not in every way', () => {
  const formsOf = (secretsAs: unknown) => {
    const { template } = parse({ secretsAs });
    return parseJobParameters(splitJob(template, { taskId: FIRST_TASK_ID, serial: 1 }).parameters).secretForms;
  };
  assert.deepEqual(formsOf(undefined), ['json', 'env', 'files']);
  assert.deepEqual(formsOf(['files', 'json', 'files']), ['json', 'files']);
  assert.deepEqual(formsOf('env'), ['env']);
  assert.doesNotMatch(JSON.stringify(parse({ secretsAs: 'env,json,files' }).template), /secretsAs/);
  assert.throws(() => parse({ secretsAs: [] }), /secretsAs: must be one or more of json, env, files, not none/);
  assert.throws(() => parse({ secretsAs: 'env,file' }), /secretsAs: .* not "file"/);
  assert.throws(() => parse({ secretsAs: { env: true } }), /secretsAs: must be a list/);
});

test('what is to become of outputs that hold secrets is in the parameters of each job, unless it is what becomes of them anyway', () => {
  const text = (leakedOutputs: unknown) => JSON.stringify(parse({ leakedOutputs }).template.parameters);
  assert.match(text('hold'), /"--leakedOutputs hold "/);
  assert.match(text('fail'), /"--leakedOutputs fail "/);
  for (const each of ['warn', undefined, null]) assert.doesNotMatch(text(each), /leakedOutputs/);
  assert.throws(() => parse({ leakedOutputs: 'drop' }), /leakedOutputs: must be one of warn, hold, fail, not "drop"/);
});

test('the command line and the names of secrets are not among what is stored', () => {
  const { template } = parse({ cliParams: 'prun --exec "x" --useSecrets=MY_SECRET', secretNames: ['MY_SECRET'] });
  assert.doesNotMatch(JSON.stringify(template), /MY_SECRET|cliParams/);
});

test('what would change a job and is not offered is refused, not ignored', () => {
  assert.throws(
    () => parse({ buildSpec: { archiveName: 'x' } }),
    /buildSpec: build steps are not offered; .*--noBuild/,
  );
  assert.throws(() => parse({ container_name: 'docker://x' }), /container_name/);
  const inputs = [...base.jobParameters, { type: 'template', param_type: 'input', value: '-i "${IN/T}"' }];
  assert.throws(() => parse({ jobParameters: inputs }), /input datasets are not offered/);
  const library = [...base.jobParameters, { type: 'constant', value: '-l ${LIB}' }];
  assert.throws(() => parse({ jobParameters: library }), /placeholder \$\{LIB\} is not offered/);
});

test('names that would leave the directory are refused', () => {
  for (const value of ['../x', '/etc/passwd', 'a/b', '..', 'a\0b', 'a,b', '']) {
    const outputs = [...base.jobParameters, { type: 'template', param_type: 'output', hidden: true, value }];
    assert.throws(() => parse({ jobParameters: outputs }), /file name/, value);
    assert.throws(() => parse({ log: { value } }), /file name/, value);
  }
});

test('an address that a shell would act on is refused', () => {
  for (const sourceURL of [
    'https://h/$(id)',
    'https://h/;ls',
    'file:///etc',
    'javascript:x',
    'https://h a',
    '',
    null,
  ]) {
    assert.throws(() => parse({ sourceURL }), /sourceURL: must be/, String(sourceURL));
  }
});

test('parameters of any shape are taken or refused with a reason, never with a fault', () => {
  const fields = fc.dictionary(
    fc.constantFrom(...Object.keys(base), 'site', 'nJobs', 'maxAttempt', 'secretNames'),
    fc.anything(),
  );
  fc.assert(
    fc.property(fields, (change) => {
      try {
        parse(change);
      } catch (error) {
        assert.ok(error instanceof PandaError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('at a retry the queue and the number of attempts may change, and nothing that runs', () => {
  assert.deepEqual(parseChangedParameters({ site: 'gpu', maxAttempt: 5 }), { queue: 'gpu', maxAttempts: 5 });
  assert.deepEqual(parseChangedParameters('{"includedSite": ["gpu"]}'), { queue: 'gpu' });
  assert.deepEqual(parseChangedParameters({ site: null }), { queue: null });
  assert.deepEqual(parseChangedParameters({}), {});
  for (const [given, message] of [
    [{ jobParameters: [] }, /"jobParameters" cannot be changed/],
    [{ excludedSite: 'gpu' }, /"excludedSite" cannot be changed/],
    [{ maxAttempt: 'many' }, /maxAttempt: must be a whole number/],
    ['[1]', /must be a JSON object/],
    ['{', /must be a JSON object/],
  ] as const) {
    assert.throws(() => parseChangedParameters(given as string), { code: 'ERR_INVALID_ARGUMENT', message });
  }
});

test('parameters that are made to be slow to read are refused at once', () => {
  const many = 500_000;
  const pieces = (value: string) => ({ jobParameters: [{ type: 'constant', value }] });
  const names = Array.from({ length: many }, (_, n) => `N${n}`);
  for (const [change, message] of [
    [{ sourceURL: `http://panda.example${'/'.repeat(many)}x` }, /sourceURL: must be/],
    [pieces('${'.repeat(many)), undefined],
    [pieces('x'.repeat(MAX_JOB_PARAMETERS_CHARS)), /jobParameters: at most/],
    [{ jobParameters: names.map(() => ({ type: 'constant', value: '' })) }, undefined],
    [{ log: { value: '${'.repeat(many) } }, /log.value: a file name may have at most/],
    [{ secretNames: names }, /secretNames: at most/],
  ] as const) {
    const took = processorTime();
    if (message) assert.throws(() => parse(change), { code: 'ERR_INVALID_ARGUMENT', message });
    else parse(change);
    assert.ok(took.milliseconds() < 2000, `${Object.keys(change)} took ${took.milliseconds()} ms`);
  }
});
