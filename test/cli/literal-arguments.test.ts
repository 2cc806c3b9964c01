import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { literalArguments } from '../../src/cli/pbook/literal-arguments.ts';
import { printable, UsageError } from '../../src/cli/reporting.ts';

const COMMAND = { flags: ['--json'], valued: ['--file'] };

test('whatever does not look like an option is taken as it is', () => {
  const literal = fc.string({ unit: 'binary' }).filter((text) => !/^--([A-Za-z]|$)/.test(text));
  const words = fc.array(literal, { minLength: 2 });
  fc.assert(fc.property(words, (args) => assert.deepEqual(literalArguments(args, COMMAND), ['--', ...args])));
});

test('everything behind -- is taken as it is', () => {
  const words = fc.array(fc.oneof(fc.string(), fc.constantFrom('--json', '--file', '--', '-h')));
  fc.assert(
    fc.property(words, (args) => assert.deepEqual(literalArguments(['--', ...args], COMMAND), ['--', ...args])),
  );
});

test('options may stand anywhere before --, with their values', () => {
  assert.deepEqual(literalArguments(['K', '--file', '--json', '--json'], COMMAND), [
    '--file',
    '--json',
    '--json',
    '--',
    'K',
  ]);
  assert.deepEqual(literalArguments(['--file=a=b', 'K'], COMMAND), ['--file=a=b', '--', 'K']);
  assert.throws(() => literalArguments(['K', '--file'], COMMAND), UsageError);
});

test('printable text has nothing that could drive a terminal, and other text is left alone', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text);
      assert.doesNotMatch(shown, /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
  assert.equal(printable('naïve {"a": "b"} \u{1f511} \\n'), 'naïve {"a": "b"} \u{1f511} \\n');
});
