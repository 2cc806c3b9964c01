import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { filesBelow, type Ran, startSite } from './site.ts';

const VALUE = 'hunter2-correct-horse';

test('outputs with secrets are brought back with a note, held back, or fail the job, as the task says', async (t) => {
  const site = await startSite(t);
  const alice = await site.user('alice');
  assertDone(await alice.pbook('set_secret', 'DB_PASSWORD', VALUE));
  // Bytes that no search for the value finds as they are.
  const job = 'echo fine > ok.txt; printf "password = %s\\n" "$DB_PASSWORD" | gzip > conf.gz';
  const tasks = new Map<string, string>();
  for (const action of ['warn', 'hold', 'fail']) {
    const { stdout } = assertDone(
      await alice.prun(
        ...['--exec', job, '--outDS', `user.alice.${action}`, '--outputs', 'conf.gz,ok.txt', '--useSecrets'],
        ...['--leakedOutputs', action, '--noBuild', '--maxAttempt', '1', '--json'],
      ),
    );
    tasks.set(action, /"jediTaskID": (\d+)/.exec(stdout)?.[1] ?? '');
  }
  assertDone(await site.pilot({ jobs: 3 }));

  const shown = async (action: string) => (await alice.pbook('show', tasks.get(action) ?? '')).stdout;
  const logs = async (action: string) => (await alice.pbook('logs', tasks.get(action) ?? '')).stdout;
  const note = /the output "conf\.gz" holds one of the job's secrets/;
  for (const action of tasks.keys()) {
    assert.match(await shown(action), note, action);
    assert.match(await logs(action), note, action);
  }
  assert.match(await shown('warn'), /\bdone\b/);
  assert.match(await shown('hold'), /\bdone\b[\s\S]*is held back/);
  assert.match(await shown('fail'), /\bfailed\b/);

  const got = async (action: string) => {
    await alice.pbook('get_outputs', tasks.get(action) ?? '', '--dir', action);
    return filesBelow(join(alice.directory, action));
  };
  const brought = await got('warn');
  assert.deepEqual(namesOf(brought), ['conf.gz', 'ok.txt']);
  assert.deepEqual(namesOf(await got('hold')), ['ok.txt']);
  assert.deepEqual(namesOf(await got('fail')), []);

  const conf = brought.find(({ path }) => path.endsWith('.gz'))?.bytes ?? Buffer.alloc(0);
  assert.ok(gunzipSync(conf).includes(VALUE), 'an output comes as the job wrote it');
  const kept = filesBelow(site.data).filter(({ bytes }) => bytes.includes(conf.subarray(10)));
  assert.equal(kept.length, 1, 'the server has what was brought back and no more');
});

function assertDone(ran: Ran): Ran {
  assert.equal(ran.status, 0, ran.stderr);
  return ran;
}

function namesOf(files: readonly { path: string }[]): string[] {
  return files.map(({ path }) => path.replace(/^.*_\d+\./, '')).toSorted();
}
