import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { PYTHON_FOLDER } from '../../src/cli/pbook/shell/python-folder.ts';

test('of a pasted session only what stands behind the prompts is code', () => {
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
  assert.deepEqual(arranged(`${session.join('\n')}\n`), {
    code: 'set_secret(1)\nfor i in x:\n    print(i)\n',
    leftOut: 3,
    statements: ['set_secret(1)', 'for i in x:\n    print(i)'],
  });
});

test('the dots of a class that is empty are code', () => {
  assert.deepEqual(arranged('class A:\n    ...\nprint(A)').statements, ['class A:\n    ...', 'print(A)']);
});

test('pasted code is moved to the left margin, whatever its line ends', () => {
  assert.equal(arranged('    if a:\r\n      b\r\n').code, 'if a:\n  b');
  assert.equal(arranged('\ta\r\tb\r').code, 'a\nb');
});

test('a statement is whole with its empty lines and its decorators', () => {
  const code = '@d\ndef f():\n\n    x = 1\n\n    return x\nf(); f()\n';
  assert.deepEqual(arranged(code).statements, ['@d\ndef f():\n\n    x = 1\n\n    return x', 'f(); f()']);
});

test('what is not Python as a whole is not taken apart', () => {
  assert.equal(arranged("'K', 'v')\n").statements, null);
});

/** What `_paste.py` makes of a text. */
function arranged(text: string): { code: string; leftOut: number; statements: string[] | null } {
  const program = `
import json, sys
sys.path.insert(0, ${JSON.stringify(PYTHON_FOLDER)})
from pbook import _paste
code, left_out = _paste.code_of(json.load(sys.stdin))
json.dump({"code": code, "leftOut": left_out, "statements": _paste.statements_of(code)}, sys.stdout)`;
  const { stdout, stderr } = spawnSync('python3', ['-c', program], { input: JSON.stringify(text), encoding: 'utf8' });
  assert.equal(stderr, '');
  return JSON.parse(stdout);
}
