import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../pilot/folders.ts';
import { startSite } from './site.ts';

/** Nobody else sleeps for so long. */
const LONG = '86123.25';
/** One that ignores TERM, and one that also left its session, its parent and its environment. */
const STUBBORN = `trap "" TERM
(env -i setsid sh -c 'trap "" TERM; sleep ${LONG}; sleep ${LONG}' &)
echo running
sleep ${LONG}
sleep ${LONG}
`;

test('pbook kill ends everything that a job started within seconds', async (t) => {
  const site = await startSite(t);
  const alice = await site.user('alice');
  writeFileSync(join(alice.directory, 'job.sh'), STUBBORN);
  const submitted = await alice.prun('--exec', 'sh job.sh', '--outDS', 'user.alice.stubborn', '--maxWalltime', '1');
  const [, taskId = ''] =
    /new jediTaskID=(\d+)/.exec(submitted.stdout + submitted.stderr) ?? assert.fail(submitted.stderr);
  const pilot = site.pilot();
  await until(sleepers, ({ length }) => length >= 2);
  const killed = await alice.pbook('kill', taskId);
  assert.equal(killed.status, 0, killed.stderr);
  const killedAt = performance.now();
  await until(sleepers, ({ length }) => length === 0);
  t.diagnostic(`gone after ${((performance.now() - killedAt) / 1000).toFixed(1)} s`);
  const { status, stderr } = await pilot;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /the job was killed on the server/);
  assert.match((await alice.pbook('show', taskId)).stdout, /aborted/);
});

/** Pids of the processes with that argument. */
function sleepers(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`sleep\0${LONG}`);
    } catch {
      return false;
    }
  });
}
