// biome-ignore-all lint/suspicious/noTemplateCurlyInString: PanDA's placeholders
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildTaskParameters, checkOutDataset, type TaskOptions } from '../../src/client/task-parameters.ts';
import { parseTaskParameters } from '../../src/panda/task-parameters.ts';
import { parseWireName } from '../../src/protocol/names.ts';
import { PIECES } from '../vectors/job-parameter-pieces.ts';

const SANDBOX = {
  origin: 'https://panda.example.org:25443',
  fileName: 'jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz',
};
const TASK: TaskOptions = {
  exec: 'python my.py %RNDM:1',
  outDataset: 'user.adoe.test1',
  outputs: ['out.txt'],
  jobs: 3,
  useSecrets: true,
  commandLine: 'prun --exec ...',
};

test("the parameters are those that PanDA's prun sends for the same command line", () => {
  const { osInfo, processingType, ...parameters } = buildTaskParameters(TASK, 'atlas', SANDBOX);
  assert.match(String(osInfo), /\w/);
  assert.match(String(processingType), /^panda-client-[\d.]+-jedi-run$/);
  assert.deepEqual(parameters, {
    taskName: 'user.adoe.test1/',
    uniqueTaskName: true,
    vo: 'atlas',
    architecture: null,
    transUses: '',
    transHome: null,
    prodSourceLabel: 'user',
    site: null,
    excludedSite: [],
    includedSite: null,
    nEvents: 3,
    nEventsPerJob: 1,
    cliParams: 'prun --exec ...',
    nMaxFilesPerJob: 200,
    respectSplitRule: true,
    useSecrets: true,
    sourceURL: 'https://panda.example.org:25443',
    noInput: true,
    log: {
      dataset: 'user.adoe.test1.log/',
      container: 'user.adoe.test1.log/',
      type: 'template',
      param_type: 'log',
      value: 'user.adoe.test1.log.$JEDITASKID.${SN}.log.tgz',
    },
    jobParameters: PIECES,
  });
});

test('a server reads them as they were meant', () => {
  const names = ['MY_SECRET', '___file___:key'].map(parseWireName);
  const task = { ...TASK, site: 'q', maxAttempts: 5, secretNames: names };
  const request = parseTaskParameters(buildTaskParameters(task, 'panda', SANDBOX));
  assert.equal(request.jobCount, 3);
  assert.equal(request.queue, 'q');
  assert.equal(request.maxAttempts, 5);
  assert.deepEqual(request.secretNames, names);
});

test('without secrets the task does not ask for any', () => {
  const parameters = buildTaskParameters({ ...TASK, useSecrets: false }, 'panda', SANDBOX);
  assert.ok(!('useSecrets' in parameters) && !('secretNames' in parameters));
});

test('an output may name its container', () => {
  const { jobParameters } = buildTaskParameters({ ...TASK, outputs: ['AAA:out.dat'] }, 'panda', SANDBOX);
  assert.ok(JSON.stringify(jobParameters).includes('"dataset":"user.adoe.test1_AAA/"'));
});

for (const output of ['a/b', 'a*', 'regex|x', "it's", 'a b', '../x', '$HOME']) {
  test(`an output named ${output} is refused`, () => {
    assert.throws(() => buildTaskParameters({ ...TASK, outputs: [output] }, 'panda', SANDBOX), /outputs/);
  });
}

test("a name of outputs begins with the user's own prefix", () => {
  for (const good of ['user.adoe.test1', 'user.adoe.test1/']) checkOutDataset(good, 'adoe');
  for (const bad of [
    'test1',
    'user.other.test1',
    'user.adoe',
    'user.adoe.',
    'user.adoe./',
    'userXadoe.test',
    '/user.adoe.x',
  ]) {
    assert.throws(() => checkOutDataset(bad, 'adoe'), /--outDS/, bad);
  }
  assert.throws(() => checkOutDataset('user.adoe.a$b', 'adoe'), /may not contain "\$"/);
  assert.throws(() => checkOutDataset(`user.adoe.${'x'.repeat(130)}`, 'adoe'), /choose a shorter/);
});
