import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROGRAMS, type Program } from '../../scripts/build/programs.ts';
import { generatedFiles } from '../../scripts/manual/generated.ts';
import { messagesPage } from '../../scripts/manual/messages.ts';
import { programWords } from '../programs.ts';

const root = join(import.meta.dirname, '../..');

test('the manual pages, completion scripts and the list of messages are those that "npm run manual" makes from the code', () => {
  const files = generatedFiles();
  for (const [path, text] of files) {
    assert.equal(readFileSync(join(root, path), 'utf8'), text, `${path} is out of date: npm run manual`);
  }
  const there = ['man', 'completions'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
  );
  assert.deepEqual([...there, 'docs/messages.md'].sort(), [...files.keys()].sort());
});

test('the list of messages has errors, printed lines, questions and pages, whole and with their ways', () => {
  const page = messagesPage();
  for (const text of [
    '- you have no secret named {join}; "pbook list\\_secrets" lists them', // an error
    '- Delete all your secrets?', // a question
    '- [logged out \\| you were not logged in]', // a printed line of two
    '- found the server again after {round} seconds', // a pilot's line
  ]) {
    assert.ok(page.includes(text), text);
  }
  assert.ok(page.split('\n').length > 500);
});

test('no message is a riddle: none begins with a question word where a noun would do', () => {
  const riddles = messagesPage()
    .split('\n')
    .filter((line) => /^- (what|whether|whoever|which) /i.test(line));
  assert.deepEqual(riddles, []);
});

for (const program of Object.keys(PROGRAMS) as Program[]) {
  test(`the manual page of ${program} has every command and option that its --help has, and --version is the release`, () => {
    const page = readFileSync(join(root, `man/${program}.1`), 'utf8').replaceAll('\\-', '-');
    const help = run(program, '--help').stdout;
    const [, commands = ''] = /^Commands:\n((?: {2}.*\n)*)/m.exec(help) ?? [];
    const names = [...commands.matchAll(/^ {2}(\S+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
    for (const name of names) {
      assert.match(page, new RegExp(`^\\.SS "${name}`, 'm'), name);
      const flags = run(program, name, '--help').stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm);
      for (const [, flag = ''] of flags) assert.ok(page.includes(flag), `${name} ${flag}`);
    }
    for (const [, flag = ''] of help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)) assert.ok(page.includes(flag), flag);
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    assert.deepEqual(run(program, '--version'), { status: 0, stdout: `${version}\n`, stderr: '' });
  });
}

test('the manual pages are roff without mistakes', {
  skip: spawnSync('groff', ['--version']).status === 0 ? false : 'groff is not installed',
}, () => {
  for (const program of Object.keys(PROGRAMS)) {
    const { status, stderr } = spawnSync('groff', ['-man', '-ww', '-z', '-Tutf8', join(root, `man/${program}.1`)]);
    assert.deepEqual([status, String(stderr)], [0, ''], program);
  }
});

function run(program: Program, ...args: string[]) {
  const [node, ...words] = programWords(program);
  const { status, stdout, stderr } = spawnSync(node, [...words, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
