// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTaskParameters } from '../../src/panda/task-parameters.ts';
import { parseJobParameters } from '../../src/protocol/job-parameters.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { taskParameters } from '../jobs/farm.ts';
import { PIECES } from '../vectors/job-parameter-pieces.ts';

const place = { taskId: 10_000_007, serial: 3 };

/** The command of a job that was submitted to run `command`. */
function commandOf(command: string, serial = 1): string {
  const { template } = parseTaskParameters(taskParameters('user.alice.test', command, ['out.txt']));
  return parseJobParameters(splitJob(template, { taskId: 10_000_007, serial }).parameters).command;
}

test('a job of the real client is expanded as PanDA does', () => {
  const { template } = parseTaskParameters({
    ...taskParameters('user.adoe.test1'),
    jobParameters: [
      ...PIECES.slice(0, -1).map((piece) => (piece.offset === undefined ? piece : { ...piece, offset: 5 })),
      { type: 'constant', value: '', padding: false },
      ...PIECES.slice(-1),
    ],
  });
  const job = splitJob(template, place);
  assert.equal(
    job.parameters,
    '-j "" --sourceURL https://panda.example:25443 -r . -a jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz ' +
      `-o "{'out.txt': 'user.adoe.10000007._000003.out.txt'}" -p "python%20my.py%207"`,
  );
  assert.deepEqual(job.outputs, ['user.adoe.10000007._000003.out.txt']);
  assert.equal(job.logName, 'user.adoe.test1.log.10000007.000003.log.tgz');
  assert.deepEqual(
    { ...parseJobParameters(job.parameters) },
    {
      sourceUrl: 'https://panda.example:25443',
      sandbox: 'jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz',
      runDirectory: '.',
      outputs: Object.assign(Object.create(null), { 'out.txt': 'user.adoe.10000007._000003.out.txt' }),
      secretForms: ['json', 'env', 'files'],
      leakedOutputs: 'warn',
      command: 'python my.py 7',
    },
  );
});

test('any command arrives as it was given, whatever it contains', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom(
        '"',
        "'",
        '\\',
        '$',
        '`',
        '%',
        '{',
        '}',
        'SN',
        '${SN}',
        '$JEDITASKID',
        '\n',
        ' ',
        'é',
        '%41',
      ),
    }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      fc.pre(text.trim() !== '' && !/%RNDM[:=]\d/.test(text));
      assert.equal(commandOf(text), text);
    }),
    { numRuns: 1000 },
  );
});

test('%RNDM:N counts from N over the jobs, each place on its own', () => {
  assert.equal(commandOf('seed=%RNDM:1 other=%RNDM=100% end', 1), 'seed=1 other=100 end');
  assert.equal(commandOf('seed=%RNDM:1 other=%RNDM=100% end', 4), 'seed=4 other=103 end');
});

test('a command of a megabyte arrives', () => {
  const long = `echo '${'x "%$\\'.repeat(150_000)}'`;
  assert.equal(commandOf(long), long);
});
