import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arrangePaste, plainText } from '../../src/cli/pbook/shell/paste.ts';
import { createInputParser, type Input } from '../../src/cli/pbook/shell/typed-input.ts';

/** One statement to a line. */
const eachLine = async (text: string) =>
  text.split('\n').flatMap((line, index): [number, number][] => (line.trim() === '' ? [] : [[index + 1, index + 1]]));
const notPython = async () => undefined;

test('of a pasted session only what stands behind the prompts is code', async () => {
  const session = [
    'Prose of a manual page.',
    '   >>> set_secret(1)',
    '   INFO : OK',
    '   >>> for i in x:',
    '   ...     print(i)',
    '',
    '   ...',
    '   >>> ',
  ];
  const pieces = await arrangePaste(`${session.join('\n')}\n`, eachLine);
  assert.deepEqual(pieces, [
    { statement: ['# pasted without the 3 lines that have no >>>'] },
    { statement: ['set_secret(1)'] },
    { statement: ['for i in x:'] },
    { statement: ['    print(i)'] },
  ]);
});

test('pasted code is moved to the left margin, whatever its line ends', async () => {
  assert.deepEqual(await arrangePaste('    a\r\n      b\r\n', eachLine), [
    { statement: ['a'] },
    { statement: ['  b'] },
  ]);
  assert.deepEqual(await arrangePaste('\ta\r\tb\r', eachLine), [{ statement: ['a'] }, { statement: ['b'] }]);
});

test('a last line without a line end waits for Enter', async () => {
  assert.deepEqual(await arrangePaste('a\nb', eachLine), [{ statement: ['a'] }, { text: 'b' }]);
  assert.deepEqual(await arrangePaste('>>> a', eachLine), [{ text: 'a' }]);
  assert.deepEqual(await arrangePaste('a:\n  b', async () => [[1, 2]]), [{ text: 'a:\n  b' }]);
});

test('what is not Python as a whole counts as typed', async () => {
  assert.deepEqual(await arrangePaste("'K', 'v')\n", notPython), [{ text: "'K', 'v')\n" }]);
});

test('nothing in a pasted text acts as a key', () => {
  const anything = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(anything, (text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
      assert.doesNotMatch(plainText(text), /[\u0000-\u0008\u000b-\u001f\u007f]/);
    }),
  );
  assert.equal(plainText('a\tb\r\nc\u001b[201~\u0003'), 'a\tb\nc[201~');
});

test('a marked paste is one, however the terminal cuts it', () => {
  const text = 'x = 1\r\n\ty\r';
  const sent = `ab\u001b[200~${text}\u001b[201~\u001b[A\r`;
  fc.assert(
    fc.property(fc.array(fc.nat(sent.length), { maxLength: 8 }), (cuts) => {
      const inputs = parse(sent, cuts);
      assert.deepEqual(
        inputs.filter((input) => 'paste' in input),
        [{ paste: text }],
      );
      assert.equal(inputs.map((input) => ('keys' in input ? input.keys : '')).join(''), 'ab\u001b[A\r');
    }),
  );
});

test('several lines at once are a paste, one line is typed', () => {
  assert.deepEqual(parse('a\rb', []), [{ paste: 'a\rb' }]);
  assert.deepEqual(parse('a\r', []), [{ keys: 'a\r' }]);
  assert.deepEqual(parse('\u001b[A\rb\r', []), [{ keys: '\u001b[A\rb\r' }]);
});

test('Ctrl-C, Ctrl-Z and Ctrl-\\ are signals, except in a paste', () => {
  assert.deepEqual(parse('a\u0003\u001ab\u001c', []), [
    { keys: 'a' },
    { signal: 'SIGINT' },
    { signal: 'SIGTSTP' },
    { keys: 'b' },
    { signal: 'SIGQUIT' },
  ]);
  assert.deepEqual(parse('\u001b[200~\u0003\u001b[201~', []), [{ paste: '\u0003' }]);
});

/** The parser's reading of a text that arrives in pieces. */
function parse(sent: string, cuts: readonly number[]): Input[] {
  const parser = createInputParser();
  const places = [0, ...[...cuts].sort((a, b) => a - b), sent.length];
  return places.slice(1).flatMap((end, index) => parser(sent.slice(places[index], end)));
}
