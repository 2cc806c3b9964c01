import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { untilAnswer } from '../patience.ts';
import { run } from './run.ts';

/** Shells of this machine, each with a way to ask what it would offer for a line whose last word is being typed. */
const SHELLS: Record<string, (words: readonly string[]) => string> = {
  bash: (words) => `
    source <(cat "$SCRIPTS"/*.bash)
    COMP_WORDS=(${words.map(quoted).join(' ')}); COMP_CWORD=${words.length - 1}
    _${words[0]?.replaceAll('-', '_')}
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Its completion system needs a terminal; what the scripts tell it is printed instead.
  zsh: (words) => `
    compdef() { :; }
    _files() { :; }
    _describe() { local -a entries=("\${(@P)argv[-1]}"); offer "\${entries[@]%%:*}"; }
    compadd() { [[ $1 == -- ]] && shift; offer "$@"; }
    offer() { local word; for word in "$@"; do [[ $word == "$PREFIX"* ]] && print -r -- "$word"; done; }
    for script in "$SCRIPTS"/_*; do source $script; done
    words=(${words.map(quoted).join(' ')}); CURRENT=${words.length}; PREFIX=${quoted(words.at(-1) ?? '')}
    _${words[0]?.replaceAll('-', '_')}`,
  fish: (words) => `
    for script in $SCRIPTS/*.fish; source $script; end
    complete -C ${quoted(words.join(' '))}`,
};

for (const [shell, ask] of Object.entries(SHELLS)) {
  const skip = spawnSync(shell, ['-c', 'exit 0']).status === 0 ? false : `${shell} is not installed`;

  /** The words that the shell offers; \`pbook\` is a program that prints \`secrets\`. */
  const offered = (words: readonly string[], secrets = ''): string[] => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'completion-'));
    const pbook = join(folder.path, 'pbook');
    writeFileSync(join(folder.path, 'names'), secrets);
    writeFileSync(pbook, `#!/bin/sh\n[ "$1" = secret_names ] && cat "${folder.path}/names"\n`);
    chmodSync(pbook, 0o755);
    const { stdout, stderr } = spawnSync(shell, [shell === 'fish' ? '-Nc' : '-c', ask(words)], {
      cwd: folder.path,
      encoding: 'utf8',
      env: {
        PATH: folder.path + delimiter + process.env['PATH'],
        HOME: folder.path,
        SCRIPTS: join(import.meta.dirname, '../../completions'),
      },
    });
    assert.equal(stderr, '');
    assert.ok(!existsSync(join(folder.path, 'made')), 'nothing that a name holds is run');
    return stdout
      .split('\n')
      .map((line) => line.split('\t', 1)[0] ?? '')
      .filter((word) => word !== '')
      .sort();
  };

  test(`${shell} completes commands, also below others`, { skip }, () => {
    assert.deepEqual(offered(['pbook', 'set']), ['set_secret']);
    assert.deepEqual(offered(['pbook', 'show']), ['show', 'showl']);
    assert.ok(offered(['panda-secrets', 'user', '']).includes('password'));
    assert.ok(!offered(['panda-secrets', '']).includes('password'));
    assert.ok(!offered(['pbook', '']).includes('secret_names'), 'what is hidden stays hidden');
  });

  test(`${shell} completes the options of each command`, { skip }, () => {
    assert.deepEqual(offered(['prun', '--wa']), ['--wait']);
    assert.deepEqual(offered(['pbook', 'logs', '--f']), ['--follow']);
    assert.deepEqual(offered(['pbook', 'kill', '--f']), []);
    assert.deepEqual(offered(['panda-secrets', 'user', 'add', '--pass']), ['--password-stdin']);
    assert.deepEqual(offered(['panda-pilot', '--isol']), ['--isolate']);
    assert.deepEqual(offered(['panda-pilot', 'clean', '--isol']), []);
  });

  test(`${shell} completes values that are a closed list`, { skip }, () => {
    assert.deepEqual(offered(['panda-pilot', '--isolate', 'a']), ['auto']);
    assert.deepEqual(offered(['pbook', 'completion', '']), ['bash', 'fish', 'zsh']);
  });

  test(`${shell} completes names of secrets, and runs none of them`, { skip }, () => {
    const names = 'TOKEN\nTOAST\nKEY\n$(touch made)\n`touch made`\n';
    assert.deepEqual(offered(['pbook', 'delete_secret', 'TO'], names), ['TOAST', 'TOKEN']);
    assert.equal(offered(['pbook', 'delete_secret', ''], names).length, 5);
    assert.deepEqual(offered(['pbook', 'delete_secret', 'TO'], ''), []);
  });
}

test('completion prints the scripts of all four programs', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { status, stdout } = await run('pbook', ['completion', shell], 'http://127.0.0.1:1');
    assert.equal(status, 0);
    for (const program of ['pbook', 'prun', 'panda-secrets', 'panda-pilot']) {
      assert.match(stdout, new RegExp(`^# Completion of ${program} for ${shell};`, 'm'));
    }
  }
  assert.equal((await run('pbook', ['completion', 'tcsh'], 'http://127.0.0.1:1')).status, 2);
});

test('a Tab asks the server for names alone, and is silent when it cannot', async () => {
  const secrets = [
    { name: 'TOKEN', kind: 'string' },
    { name: 'my key', kind: 'file' },
  ];
  await using stub = await startStub({ 'creds/list_user_secrets': () => ok(secrets) });
  // It gives up after two seconds, on a busy machine too.
  await untilAnswer(async () => (await run('pbook', ['secret_names'], stub.url)).stdout, 'TOKEN\nmy key\n');
  assert.deepEqual(new Set(stub.seen.map(({ path }) => path)), new Set(['creds/list_user_secrets']));
  const silent = { status: 1, stdout: '', stderr: '' };
  assert.deepEqual(await run('pbook', ['secret_names'], 'http://127.0.0.1:1'), silent);
});

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
