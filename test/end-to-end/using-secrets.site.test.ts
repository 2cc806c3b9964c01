import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { noTerminal, openTerminal, type Terminal } from '../cli/terminal.ts';
import { type Block, type Exchange, exchanges, fencedBlocks, isAnswer } from './page.ts';
import { type Site, startSite, type User } from './site.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'using-secrets.md'), 'utf8');

test('the manual page "Using secrets" works as it is written, from top to bottom', { skip: noTerminal }, async (t) => {
  const site = await startSite(t);
  await site.queue('SITE_A');
  await site.queue('SITE_B');
  const user = await site.user('adoe');
  makeFiles(user);
  const environment = environmentOf(user, site);
  await using terminal = openTerminal([], site.url, { env: environment, cwd: user.directory });
  await terminal.sees(/>>> $/);

  for (const block of fencedBlocks(page)) {
    const place = `docs/using-secrets.md:${block.line}`;
    if (block.language === 'console') await typeToShell(block, site, { cwd: user.directory, env: environment });
    else if (block.language === 'pycon') await typeToPython(block, terminal);
    else if (block.language === 'python') writeJob(block, user.directory);
    // Shown and not typed: a log, or a fault that a healthy server does not have.
    else if (block.language === 'text') continue;
    else assert.fail(`${place}: no test knows what to do with a block of "${block.language}"`);
  }
});

test('an answer of a page has to be the whole answer, but for ...', () => {
  assert.ok(isAnswer(['INFO : OK'], 'INFO : OK\n'));
  assert.ok(!isAnswer(['INFO : OK'], 'INFO : OK\nmore\n'));
  assert.ok(isAnswer(['...', 'b (...)'], 'a\na\nb (2 bytes)\n'));
  assert.ok(isAnswer(['...', 'b'], 'b\n'));
  assert.ok(!isAnswer(['a...c'], 'a\nc\n'));
});

/** A machine as the page's reader has it. */
function makeFiles({ directory }: User): void {
  const home = dirname(directory);
  const key = `-----BEGIN PRIVATE KEY-----\n${randomBytes(48).toString('base64')}\n-----END PRIVATE KEY-----\n`;
  writeFileSync(join(home, 'token.txt'), `eyJhbGciOi${randomBytes(60).toString('base64url')}\n`);
  writeFileSync(join(home, 'my_key.pem'), key);
  for (const folder of [home, directory]) writeFileSync(join(folder, 'some_binary_file'), randomBytes(100));
  mkdirSync(join(directory, 'my_job'));
}

function environmentOf({ directory, token }: User, { url }: Site): Record<string, string> {
  const home = dirname(directory);
  return {
    PATH: [join(root, 'bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
    HOME: home,
    PANDA_CONFIG_ROOT: join(home, '.pathena'),
    PANDA_URL_SSL: url,
    PANDA_AUTH_ID_TOKEN: token,
  };
}

/** A block is one session of a shell. A command fails where the page shows an `ERROR`, and nowhere else. */
async function typeToShell(block: Block, site: Site, options: { cwd: string; env: Record<string, string> }) {
  const commands = exchanges(block, '$');
  const queues = commands
    .filter(({ typed, answer }) => typed.startsWith('prun ') && !isRefused(answer))
    .map(({ typed }) => /--site (\S+)/.exec(typed)?.[1] ?? 'default');
  const pilots: Promise<void>[] = [];
  // A pilot for each task as it is submitted, for which `prun --wait` waits.
  const outputs = await runInShell(commands, options, (output, giveUp) => {
    const submitted = output.match(/ new jediTaskID=/g)?.length ?? 0;
    for (const queue of queues.slice(pilots.length, submitted)) pilots.push(runPilot(site, queue, giveUp));
  });
  await Promise.all(pilots);
  for (const [index, { typed, answer, line }] of commands.entries()) {
    const { output = '', status } = outputs[index] ?? {};
    compare({ line, typed, answer }, output);
    assert.equal(status === 0, !isRefused(answer), `docs/using-secrets.md:${line}: exit status ${status} of ${typed}`);
  }
}

async function runPilot(site: Site, queue: string, giveUp: () => void): Promise<void> {
  const { status, stderr } = await site.pilot({ queue });
  if (status === 0) return;
  giveUp();
  assert.fail(`the pilot ended with status ${status}: ${stderr}`);
}

function isRefused(answer: readonly string[]): boolean {
  return answer.some((line) => line.startsWith('ERROR : '));
}

/** Types commands to one shell, and answers what each of them wrote to either stream. */
async function runInShell(
  commands: readonly Exchange[],
  options: { cwd: string; env: Record<string, string> },
  onOutput: (all: string, giveUp: () => void) => void,
) {
  const MARK = '\u001e';
  const script = ['exec 2>&1', ...commands.flatMap(({ typed }) => [typed, `printf '${MARK}%s${MARK}' $?`])].join('\n');
  const child = spawn('sh', ['-c', script], { ...options, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  // The shell and what it waits for.
  const giveUp = () => void process.kill(-(child.pid ?? 0), 'SIGKILL');
  let output = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    output += text;
    onOutput(output, giveUp);
  }
  const pieces = output.split(MARK);
  return commands.map((_, index) => ({ output: pieces[2 * index], status: Number(pieces[2 * index + 1]) }));
}

async function typeToPython(block: Block, terminal: Terminal): Promise<void> {
  for (const { typed, answer, line } of exchanges(block, '>>>', '...')) {
    const lines = typed.split('\n');
    let output = '';
    for (const [index, text] of lines.entries()) {
      terminal.type(`${text}\r`);
      const shown = await terminal.sees(index < lines.length - 1 ? /\n\.\.\. $/ : /\n(?:[\s\S]*\n)?>>> $/);
      output = shown.slice(shown.indexOf('\n') + 1).replace(/>>> $/, '');
    }
    compare({ line, typed, answer }, output);
  }
}

/** A Python block names its file in its first line. */
function writeJob({ lines, line }: Block, directory: string): void {
  const file = /^# (\S+)$/.exec(lines[0] ?? '')?.[1];
  assert.ok(file, `docs/using-secrets.md:${line}: which file is it?`);
  writeFileSync(join(directory, file), `${lines.join('\n')}\n`);
}

function compare({ line, typed, answer }: Exchange, actual: string): void {
  if (isAnswer(answer, actual)) return;
  assert.equal(actual, `${answer.join('\n')}\n`, `docs/using-secrets.md:${line}: the answer to ${typed}`);
}
