import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { programs } from '../../scripts/manual/programs.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = ['README.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: root })].sort();
/** Where every option and variable is this system's own; others also speak of PanDA's and Node's. */
const ownPages = [
  'README.md',
  ...['user', 'operator', 'operator-reference', 'security', 'using-secrets'].map((name) => `docs/${name}.md`),
];
const code = globSync('src/**/*.{ts,py}', { cwd: root }).map(read).join('\n');
const commands = new Map(programs().map((program) => [program.name(), program]));

for (const page of pages) {
  test(`every link in ${page} leads somewhere`, () => {
    const text = read(page).replace(/^```[\s\S]*?^```$/gm, '');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(root, join(root, dirname(page), path));
      assert.ok(existsSync(join(root, file)), `${target} is not there`);
      if (anchor !== undefined) assert.ok(anchorsOf(read(file)).includes(anchor), `${file} has no heading #${anchor}`);
    }
  });

  test(`every file and npm script that ${page} names is there`, () => {
    const text = read(page);
    for (const [path] of text.matchAll(/\b(?:src|test|scripts|docs)\/[\w./-]*\.(?:ts|mjs|md|json)\b/g)) {
      assert.ok(existsSync(join(root, path)), path);
    }
    const { scripts } = JSON.parse(read('package.json'));
    for (const [, name = ''] of text.matchAll(/\bnpm run ([\w:-]+)/g)) assert.ok(Object.hasOwn(scripts, name), name);
  });
}

for (const page of ownPages) {
  test(`every command, option and variable that ${page} names is one`, () => {
    const known = new Set([...commands.values()].flatMap(flagsOf));
    for (const piece of codeIn(read(page))) {
      for (const [, program = '', rest = ''] of piece.matchAll(
        /(?<!-u )\b(pbook|prun|panda-secrets|panda-pilot)\b([^|;&<>\n]*)/g,
      )) {
        checkCommand(program, rest, piece);
      }
      for (const [, flag = ''] of piece.matchAll(/^(--[a-zA-Z][\w-]*)/g)) assert.ok(known.has(flag), piece);
      for (const [name] of piece.matchAll(/\b(?:PANDA|OIDC|PBOOK)_[A-Z0-9_]*[A-Z0-9]\b/g)) {
        assert.ok(code.includes(name) || settingOf(name), `${name}: nothing reads it`);
      }
    }
  });
}

test('each decision has a number of its own, which its title begins with', () => {
  const decisions = globSync('docs/decisions/*.md', { cwd: root }).sort();
  const numbers = decisions.map((path) => basename(path).slice(0, 4));
  assert.deepEqual(
    numbers,
    decisions.map((_, place) => String(place + 1).padStart(4, '0')),
  );
  for (const [place, path] of decisions.entries()) assert.ok(read(path).startsWith(`# ${numbers[place]}: `), path);
});

test('a comment that names a page of docs/ names one that is there', () => {
  for (const [path] of code.matchAll(/\bdocs\/[\w./-]+\.md\b/g)) assert.ok(existsSync(join(root, path)), path);
});

test('every message that docs/user.md explains is one that the programs print', () => {
  const [, table = ''] = read('docs/user.md').split('## Messages');
  const messages = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, message = '']) => message);
  assert.ok(messages.length > 10);
  for (const message of messages) {
    for (const part of message.split('...')) assert.ok(code.includes(part), message);
  }
});

/** A command as a page writes it, as far as its words are commands and options. */
function checkCommand(program: string, words: string, where: string): void {
  let command = commands.get(program) as Command;
  for (const word of words.trim().split(/\s+/)) {
    const next = command.commands.find((one) => one.name() === word);
    if (next) command = next;
    else {
      const isWord = /^[a-z][a-z_-]*$/.test(word) && word !== 'help';
      assert.ok(!isWord || command.commands.length === 0, `${where}: ${command.name()} has no command "${word}"`);
      break;
    }
  }
  const flags = [...flagsOf(command), '--help', '--version', ...(program === 'pbook' ? ['--python'] : [])];
  for (const [, flag = ''] of words.matchAll(/\s(--[a-zA-Z][\w-]*)/g)) {
    assert.ok(flags.includes(flag), `${where}: ${command.name()} has no ${flag}`);
  }
}

/** Its own options and those of its commands. */
function flagsOf(command: Command): string[] {
  return [
    ...command.options.map(({ long }) => long ?? ''),
    ...command.commands.flatMap((subcommand) => flagsOf(subcommand)),
  ];
}

/** `PANDA_SECRETS_PORT`, which the code makes of `port`. */
function settingOf(variable: string): boolean {
  const name = variable.replace(/^PANDA_SECRETS_/, '').toLowerCase();
  return variable.startsWith('PANDA_SECRETS_') && new RegExp(`^  ${name}: '`, 'm').test(code);
}

/** Spans of code, and lines of blocks without their comments. */
function codeIn(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return [...blocks.map((line) => line.replace(/\s#.*$/, '')), ...spans];
}

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
