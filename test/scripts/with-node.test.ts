import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const SCRIPT = join(import.meta.dirname, '../../scripts/with-node.mjs');

test('the arguments of a program do not stay in the process list of what starts it', {
  skip: process.platform === 'linux' ? false : 'reads /proc',
}, async (t) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'with-node-'));
  const program = join(folder.path, 'program.mjs');
  writeFileSync(program, "process.stdout.write(process.argv[2]); process.stdin.on('end', () => {}).resume();");
  const child = spawn(process.execPath, [SCRIPT, program, 'a-value-nobody-may-see'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [output] = await child.stdout.setEncoding('utf8').take(1).toArray();
  assert.equal(output, 'a-value-nobody-may-see', 'the program gets them');
  assert.doesNotMatch(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /nobody-may-see/);
  child.stdin.end();
});
