import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openJobLog } from '../../src/pilot/job-log.ts';
import { temporaryFolder } from './folders.ts';

test('lines of two streams come whole, one after another', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  const log = await openJobLog(path);
  const [out, errors] = [log.stream(), log.stream()];
  log.note('starts');
  out.write('one ');
  errors.write('error\nhalf ');
  out.write('line\n');
  errors.end('error');
  out.end('\xff without an end', 'latin1');
  assert.equal(await log.close(), undefined);
  const written = readFileSync(path, 'latin1');
  assert.ok(written.startsWith('panda-pilot: starts\n'));
  for (const whole of ['error\n', 'one line\n', 'half error', '\xff without an end'])
    assert.ok(written.includes(whole), whole);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a note is one line of the pilot's, whatever is in it", async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  const log = await openJobLog(path);
  log.note('gone\r\npanda-pilot: the payload finished\u2028\u001b[2Jmore\u0085end');
  await log.close();
  assert.equal(readFileSync(path, 'utf8'), 'panda-pilot: gone panda-pilot: the payload finished [2Jmore end\n');
});

test('a payload that prints too much keeps running, and the log says what is missing', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  const log = await openJobLog(path, 1000);
  const stream = log.stream();
  for (let n = 0; n < 100; n++) stream.write(`${'x'.repeat(99)}\n`);
  stream.end();
  await new Promise((resolve) => stream.on('finish', resolve));
  log.note('the end');
  assert.match((await log.close()) ?? '', /more than 1000 bytes/);
  const written = readFileSync(path, 'utf8');
  assert.match(
    written,
    /panda-pilot: the payload printed more than 1000 bytes; the rest is not kept\npanda-pilot: the end\n$/,
  );
  assert.ok(written.length < 1200);
});
