import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { startPayload } from '../../src/payload/payload.ts';
import { startTimeOf } from '../../src/payload/processes.ts';
import { temporaryFolder } from '../pilot/folders.ts';

async function start(t: TestContext, command: string, environment: Record<string, string> = {}) {
  const directory = await temporaryFolder(t);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const payload = startPayload({
    command: ['/bin/sh', '-c', command],
    directory,
    pipesIn: directory,
    environment: { PATH: process.env['PATH'] ?? '', ...environment },
    mark: randomUUID(),
    stdout,
    stderr,
  });
  t.after(() => payload.stop(0));
  return { payload, directory, stdout, stderr };
}

/** Waits for the pid that the payload prints as a line of its own. */
async function printedPid(stdout: PassThrough): Promise<number> {
  let seen = '';
  for (;;) {
    const [chunk] = await once(stdout, 'data');
    seen += chunk;
    const pid = /^(\d+)\n/m.exec(seen)?.[1];
    if (pid) return Number(pid);
  }
}

test('a payload runs in its directory and its output arrives byte for byte', async (t) => {
  const { payload, directory, stdout, stderr } = await start(t, 'printf "\\000\\377"; pwd >&2; exit 3');
  const [out, errors, end] = await Promise.all([buffer(stdout), text(stderr), payload.ended]);
  assert.deepEqual(out, Buffer.from([0, 255]));
  assert.equal(errors, `${directory}\n`);
  assert.deepEqual(end, { exitCode: 3, signal: undefined, allGone: true });
});

test('values in the environment reach the payload as they are, and nothing else of the pilot does', async (t) => {
  process.env['PILOTS_OWN'] = 'x';
  const value = `"$(touch evil)" \`touch evil\` \\ '\n é`;
  const { payload, stdout } = await start(t, 'printf %s "$VALUE"; printf "|%s" "$PILOTS_OWN"; ls', { VALUE: value });
  const [out] = await Promise.all([text(stdout), payload.ended]);
  assert.equal(out, `${value}|`);
});

test('a payload makes no core files', async (t) => {
  const { payload, stdout } = await start(t, 'ulimit -c; ulimit -Hc');
  const [out] = await Promise.all([text(stdout), payload.ended]);
  assert.equal(out, '0\n0\n');
});

test('a payload that a signal ends has the exit code that a shell gives', async (t) => {
  const { payload, stdout, stderr } = await start(t, 'kill -SEGV $$');
  stdout.resume();
  stderr.resume();
  const { exitCode, signal } = await payload.ended;
  assert.deepEqual({ exitCode, signal }, { exitCode: 139, signal: 'SIGSEGV' });
});

test('a payload that ignores TERM is killed after its grace', async (t) => {
  const { payload, stdout } = await start(
    t,
    'touch here; trap "" TERM; echo $$; while [ -e here ]; do sleep 0.1; done',
  );
  const pid = await printedPid(stdout);
  payload.stop(0.2);
  const { signal, allGone } = await payload.ended;
  assert.deepEqual({ signal, allGone }, { signal: 'SIGKILL', allGone: true });
  assert.equal(startTimeOf(pid), undefined);
});

test('a payload that ends itself on TERM has time to do so', async (t) => {
  const { payload, stdout } = await start(
    t,
    'touch here; trap "echo saved; exit 7" TERM; echo $$; while [ -e here ]; do sleep 0.05; done',
  );
  await printedPid(stdout);
  const rest = text(stdout);
  payload.stop(10);
  const { exitCode } = await payload.ended;
  assert.equal(exitCode, 7);
  assert.equal(await rest, 'saved\n');
});

const DAEMON = `
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(600)
`;

test('a process that left the session and its parent is ended with the payload', async (t) => {
  const { payload, stdout, directory } = await start(
    t,
    'while [ ! -e go ]; do sleep 0.02; done; python3 daemon.py; while [ -e go ]; do sleep 0.02; done',
  );
  writeFileSync(join(directory, 'daemon.py'), DAEMON);
  writeFileSync(join(directory, 'go'), '');
  const pid = await printedPid(stdout);
  assert.notEqual(startTimeOf(pid), undefined);
  rmSync(join(directory, 'go'));
  const { exitCode, allGone } = await payload.ended;
  assert.deepEqual({ exitCode, allGone }, { exitCode: 0, allGone: true });
  assert.equal(startTimeOf(pid), undefined);
});

test('a payload that forks all the time is killed whole', async (t) => {
  const { payload, stdout } = await start(
    t,
    'touch here; trap "" TERM; echo $$; while [ -e here ]; do (trap "" TERM; sleep 5; sleep 5) & sleep 0.01; done',
  );
  await printedPid(stdout);
  payload.stop(0.1);
  assert.equal((await payload.ended).allGone, true);
});

test('what cannot be started says so', async (t) => {
  const { payload, stdout, stderr } = await start(t, 'true', { HUGE: 'x'.repeat(100) });
  stdout.resume();
  stderr.resume();
  assert.equal((await payload.ended).exitCode, 0);
  const target = new PassThrough().resume();
  const missing = startPayload({
    command: ['-c', 'true'],
    directory: '/proc/not-there',
    pipesIn: tmpdir(),
    environment: {},
    mark: randomUUID(),
    stdout: target,
    stderr: new PassThrough().resume(),
  });
  await assert.rejects(missing.ended, { code: 'ENOENT' });
  assert.equal(target.writableEnded, true);
});

test('the command line of the launcher holds the command alone', async (t) => {
  const { payload, stdout } = await start(t, 'echo $$; sleep 100', { TOKEN: 'hidden-value' });
  const pid = await printedPid(stdout);
  assert.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('hidden-value'), false);
  payload.stop(1);
  await payload.ended;
});

test('a payload may open its output by its name', async (t) => {
  const { payload, stdout, stderr } = await start(t, 'echo out > /dev/stdout; echo err > /dev/stderr');
  const [out, errors] = await Promise.all([text(stdout), text(stderr), payload.ended]);
  assert.deepEqual([out, errors], ['out\n', 'err\n']);
});
