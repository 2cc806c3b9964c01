import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { columns } from '../../src/cli/columns.ts';

test('columns stand under their titles, numbers to the right, whatever the letters and styles of a cell', async () => {
  const head = [{ title: 'Id', align: 'right' }, { title: 'Name' }, { title: 'State' }] as const;
  const rows = [
    ['1', '日本', 'done'],
    ['100', 'red', '\u001b[31mfailed\u001b[39m'],
    ['20', '', ''],
  ];
  assert.equal(
    stripVTControlCharacters(await columns(head, rows)),
    ['  Id  Name  State', ' ---  ----  ------', '   1  日本  done', ' 100  red   failed', '  20', ''].join('\n'),
  );
});

test('a cell that is too wide goes on below, beside the other cells, and its column is no wider than its words', async () => {
  const rows = [
    ['a long text of several words that goes on and on', 'x'],
    ['short', 'y'],
  ];
  assert.equal(
    await columns(['Words', 'State'], rows, 40),
    [
      ' Words        State',
      ' -----------  -----',
      ' a long text  x',
      ' of several',
      ' words that',
      ' goes on and',
      ' on',
      ' short        y',
      '',
    ].join('\n'),
  );
});
