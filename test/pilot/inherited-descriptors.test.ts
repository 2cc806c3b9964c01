import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { programPath } from '../programs.ts';
import { temporaryFolder } from './folders.ts';
import { bubblewrap } from './isolated.ts';
import { startPanda } from './panda.ts';
import { stubToken } from './stub-session.ts';

const MAIN = programPath('panda-pilot');
const canOpenThem = spawnSync('bash', ['-c', 'exec 5000</etc']).status === 0;

for (const isolate of ['on', 'off'] as const) {
  test(`a payload gets no descriptor that the pilot was started with, isolation ${isolate}`, {
    skip: !canOpenThem || (isolate === 'on' && bubblewrap.skip),
  }, async (t) => {
    const panda = await startPanda(t);
    const folder = await temporaryFolder(t);
    // The shell that lists them has one on the list itself, and none stays for the next line.
    panda.add({
      command:
        'ls /proc/self/fd | wc -l > out; ls -l /proc/self/fd >> out; for n in 200 5000; do ls /proc/self/fd/$n/passwd 2>/dev/null; done >> out; true',
      outputs: { out: 'u.out' },
    });
    const pilot = ['--disable-warning=ExperimentalWarning', MAIN, '--queue', 'q', '--token-file', '-'];
    const options = ['--server', panda.url, '--workdir', folder, '--jobs', '1', '--isolate', isolate, '--allow-root'];
    const child = spawn(
      'bash',
      ['-c', 'exec 19</etc 200</etc 5000</etc; "$@"', 'bash', process.execPath, ...pilot, ...options],
      { env: { PATH: process.env['PATH'], TOKEN: '' }, stdio: ['pipe', 'ignore', 'pipe'] },
    );
    child.stdin.end(stubToken());
    const said = await text(child.stderr);
    const out = panda.uploads.get('output/u.out')?.toString() ?? assert.fail(said);
    assert.equal(out.split('\n', 1)[0], '4', out);
    assert.ok(!out.includes('passwd') && !out.includes('/etc'), out);
  });
}
