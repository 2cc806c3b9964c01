// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildJobParameters, parseJobParameters } from '../../src/protocol/job-parameters.ts';
import { quote, readNameMap, unquote, writeNameMap } from '../../src/protocol/python-text.ts';
import { shellWord, splitWords } from '../../src/protocol/shell-words.ts';
import { processorTime } from '../took.ts';
import { PIECES } from '../vectors/job-parameter-pieces.ts';

const invalid = (message: RegExp) => ({ code: 'ERR_INVALID_ARGUMENT', message });

test('quoting comes back from unquoting, whatever the text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(unquote(quote(text)), text)));
});

test('quoted text is plain ASCII without anything that a shell or PanDA acts on', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.match(quote(text), /^[\w.~/%-]*$/)));
});

test('text is quoted as by Python', () => {
  assert.equal(quote(`a b/c'"$\`\\(!*~)%é\n😀`), 'a%20b/c%27%22%24%60%5C%28%21%2A~%29%25%C3%A9%0A%F0%9F%98%80');
});

test('a percent sign that starts no escape stays, and bytes that are no UTF-8 do not break what is around them', () => {
  assert.equal(unquote('100%'), '100%');
  assert.equal(unquote('%zz%4'), '%zz%4');
  assert.equal(unquote('a%FFb%EF%BB%BF'), 'a\ufffdb\ufeff');
});

test('words are split as a shell does', () => {
  const texts = [
    `-j "" --sourceURL https://h:1 -r . -p "a%20b"`,
    `a'b c'"d e"f\\ g`,
    `"a\\"b\\\\c\\nd" 'x\\y' ''`,
    `  lead  and\ttrail  `,
    `"{'out.txt': 'user.me._000001.out.txt'}"`,
  ];
  for (const text of texts) {
    const words = execFileSync('sh', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1);
    assert.deepEqual(splitWords(text), words, text);
  }
});

test('a word that is written for a shell comes back as that one word', () => {
  for (const word of ['', 'a-b_c.d/e+f', 'a b', "it's", '$(id) `id` ~ * ; # \\ "', 'a\nb', 'A=b', "'", '-x']) {
    const words = execFileSync('sh', ['-c', `printf '%s\\0' ${shellWord(word)}`], { encoding: 'utf8' });
    assert.equal(words, `${word}\0`);
    assert.deepEqual(splitWords(shellWord(word)), [word]);
  }
});

test('a quote that is not closed is refused', () => {
  assert.throws(() => splitWords(`-p "abc`), invalid(/" is not closed/));
  assert.throws(() => splitWords(`-p 'abc`), invalid(/' is not closed/));
  assert.throws(() => splitWords(`-p "abc\\"`), invalid(/" is not closed/));
});

test('a map of names comes back, whatever the names', () => {
  const names = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(fc.dictionary(names, names), (map) => {
      assert.deepEqual({ ...readNameMap(writeNameMap(Object.entries(map))) }, { ...map });
    }),
  );
});

test('a map is read as Python prints it', () => {
  assert.deepEqual(
    { ...readNameMap(`{"it's": 'a\\\\b', 'x\\x41\\u00e9\\U0001f600': "say \\"hi\\""}`) },
    {
      "it's": 'a\\b',
      'xAé😀': 'say "hi"',
    },
  );
  assert.deepEqual({ ...readNameMap('{}') }, {});
});

test('a map that is something else is refused', () => {
  for (const text of [
    '',
    '[]',
    '{',
    "{'a'}",
    "{'a': 1}",
    "{'a': 'b',}",
    "{'a': 'b' 'c': 'd'}",
    "{'a': '\\U99999999'}",
  ]) {
    assert.throws(() => readNameMap(text), invalid(/-o must be like/), text);
  }
});

test('a name that objects have by nature is a name like others', () => {
  const outputs = readNameMap("{'__proto__': 'a', 'constructor': 'b'}");
  assert.deepEqual(Object.entries(outputs), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
});

test('parameters that this system cannot run are refused by name', () => {
  assert.throws(() => parseJobParameters('-p "ls" --rootVer 6.04'), invalid(/"--rootVer" is not offered/));
  assert.throws(() => parseJobParameters('-p "ls" --constructor=1'), invalid(/"--constructor" is not offered/));
  assert.throws(() => parseJobParameters('-r . -a jobO.x.tar.gz'), invalid(/-p with the command is missing/));
  assert.throws(() => parseJobParameters('-p "ls" -a ../../etc/passwd'), invalid(/-a: a file name may not contain/));
  assert.throws(() => parseJobParameters('-p'), invalid(/-p needs a value/));
});

test('the pieces are those of the real client', () => {
  const pieces = buildJobParameters({
    sandbox: 'jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz',
    runDirectory: '.',
    outputs: [{ name: 'out.txt', lfn: 'user.adoe.$JEDITASKID._${SN/P}.out.txt', dataset: 'user.adoe.test1_out.txt/' }],
    command: 'python my.py %RNDM:1',
  });
  assert.deepEqual(pieces, PIECES);
});

test('a run directory of any name arrives', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ' ', "'", '"', '\\', '`', '$', 'é', '/', '\n') }), (name) => {
      const pieces = buildJobParameters({ sandbox: 'a.tar.gz', runDirectory: `x${name}`, outputs: [], command: 'ls' });
      const text = pieces.flatMap(({ value, padding }) => [value, padding === false ? '' : ' ']).join('');
      assert.equal(parseJobParameters(text.replace('__delimiter__', '')).runDirectory, `x${name}`);
    }),
  );
});

test('an output whose name cannot be sent is refused', () => {
  for (const name of ['a/b', 'a b', "it's", 'a$b', 'a"b', 'a,b', '..', '', 'a\\b', 'a%b']) {
    const outputs = [{ name, lfn: 'x', dataset: 'y/' }];
    assert.throws(
      () => buildJobParameters({ sandbox: 'a.tar.gz', runDirectory: '.', outputs, command: 'ls' }),
      invalid(/^outputs: /),
      name,
    );
  }
});

test('as many options as fit are read in no time, and no more are read', () => {
  const took = processorTime();
  assert.equal(parseJobParameters(`${'-r x '.repeat(800_000)}-p true`).command, 'true');
  assert.ok(took.milliseconds() < 2000, `took ${took.milliseconds()} ms`);
  assert.throws(() => parseJobParameters('-r x '.repeat(900_000)), /at most 4194304 characters/);
});
