import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFinder } from '../../src/masking/finder.ts';
import { createMasker } from '../../src/masking/masker.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';

const PHRASE = 'correct horse\nbattery staple\n\nof\nseven moons\n';
const named = (value: string, mask?: 'whole') => ({ name: wireName('S'), value: new Plaintext(value), mask });

function masked(value: string, text: string, size = text.length, mask?: 'whole'): string {
  const stream = createMasker([named(value, mask)]).stream();
  const shown: Uint8Array[] = [];
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) shown.push(...stream.write(bytes.subarray(at, at + size)));
  return Buffer.concat([...shown, ...stream.end()]).toString();
}

test('a value of plain lines is hidden when a program prints all of it over lines, whatever stands before each', () => {
  const hidden = ['***', '***', '', 'of', '***'];
  for (const prefix of ['', '> ', '+ ', '    ', '2026-01-01 10:00:00,123 INFO reader: ']) {
    for (const end of ['\n', '\r\n', ' \n']) {
      const lines = PHRASE.trim().split('\n');
      const text = `begin\n${lines.map((line) => prefix + line + end).join('')}end\n`;
      for (const size of [1, 7, 1000]) {
        const shown = masked(PHRASE, text, size);
        assert.equal(
          shown.replace(/^(.*)of(\s)/m, '$1***$2'),
          `begin\n${hidden.map((line) => prefix + line.replace('of', '***') + end).join('')}end\n`,
        );
      }
    }
  }
});

test('the first line of a value may stand behind other text, and other text behind the last', () => {
  assert.equal(masked('correct horse\nbattery staple', "+ : 'correct horse\nbattery staple'\n"), "+ : '***\n***'\n");
});

test('lines of a value alone, in another order or with others between them stay readable', () => {
  for (const text of [
    'correct horse\nand other words\n',
    'battery staple\ncorrect horse\n',
    'correct horse and more\nbattery staple\n',
    'correct horse and more\nbattery staple\n\nof\nseven moons\n',
    'correct horse\nbattery staple\nof\nseven moons\n',
    'correct horse\nbattery staple\n\nof\n',
  ]) {
    for (const size of [1, 1000]) assert.equal(masked(PHRASE, text, size), text);
  }
});

test('only a line that may begin a value is held back, until the next one says', () => {
  const stream = createMasker([named(PHRASE)]).stream();
  const write = (text: string) => Buffer.concat(stream.write(Buffer.from(text))).toString();
  assert.equal(write('begin\nincorrect horses\n'), 'begin\nincorrect horses\n');
  assert.equal(write('> correct horse\n'), '> ');
  assert.equal(write('something else\n'), 'correct horse\nsomething else\n');
  assert.equal(write('correct horse\nbattery staple\n'), '');
  assert.equal(write('\nof\n'), '');
  assert.equal(write('seven moons\n'), '***\n***\n\n***\n***\n');
});

test('a value that is hidden as a whole is so over lines too, with its quotes doubled or without', () => {
  const value = "[client]\nuser = o'hara\nhost = db.example.org\n";
  assert.equal(masked(value, value, 5, 'whole'), '***\n***\n***\n');
  assert.equal(masked(value, value.replaceAll("'", "''"), 5, 'whole'), '***\n***\n***\n');
  assert.equal(masked(value, '[client]\n', 5, 'whole'), '[client]\n');
});

test('two values that begin alike are told apart, and a finder says which one stands where', () => {
  const stream = createFinder([
    { name: wireName('A'), value: new Plaintext('import os\nimport sys') },
    { name: wireName('B'), value: new Plaintext('import os\nimport json') },
  ]).stream();
  const found = [...stream.write(Buffer.from('import os\nimport re\n# import os\n# import json\n')), ...stream.end()];
  assert.deepEqual(
    found.map(({ start, end, names }) => [start, end, ...names]),
    [
      [22, 31, 'B'],
      [34, 45, 'B'],
    ],
  );
});

test('many values with one first line do not make a text of it slow', () => {
  const secrets = Array.from({ length: 1000 }, (_, at) => ({
    name: wireName(`S${at}`),
    value: new Plaintext(`import os\nimport module_${'x'.repeat(at % 7)}_of_plain_words`),
  }));
  const text = Buffer.from('import os\n'.repeat(20_000));
  const timeOf = (count: number): number => {
    const stream = createMasker(secrets.slice(0, count)).stream();
    const started = process.cpuUsage();
    assert.equal(Buffer.concat([...stream.write(text), ...stream.end()]).toString(), text.toString());
    return process.cpuUsage(started).user;
  };
  timeOf(100);
  // No more than so many are followed at once.
  const [hundred, thousand] = [timeOf(100), timeOf(1000)];
  assert.ok(thousand < 4 * hundred, `${thousand / hundred} times as long`);
});
