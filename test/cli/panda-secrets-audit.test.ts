import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { pandaSecrets } from './panda-secrets.ts';

async function site(t: TestContext) {
  const program = pandaSecrets(t);
  const server = await program.serve();
  server.process.kill('SIGTERM');
  await server.ended;
  const run = async (...args: string[]) => {
    const done = await program.run(args);
    return { ...done, lines: done.stdout.split('\n').filter((line) => line !== '') };
  };
  for (const name of ['Q1', 'Q2', 'Q3']) assert.equal((await run('queue', 'add', name)).status, 0);
  const change = (statement: string) => {
    const database = new DatabaseSync(join(program.data, 'panda.db'));
    database.exec(statement);
    database.close();
  };
  return { run, change, data: program.data };
}

test('the audit is shown, exported and found whole', async (t) => {
  const { run } = await site(t);
  const verified = await run('audit', 'verify');
  assert.equal(verified.status, 0, verified.stderr);
  assert.match(verified.stdout, /^whole: \d+ entries in \d+ chains?\n$/);
  const tail = await run('audit', 'tail', '-n', '2');
  assert.deepEqual(
    tail.lines.map((line) => line.split('  ').slice(2).join(' ')),
    [
      'operator queue.add {"queue":"Q2","allowTlsSecrets":false}',
      'operator queue.add {"queue":"Q3","allowTlsSecrets":false}',
    ],
  );
  const exported = (await run('audit', 'export')).lines.map((line) => JSON.parse(line));
  const [head] = (await run('audit', 'heads')).lines.map((line) => JSON.parse(line));
  assert.deepEqual([exported.at(-1).seq, exported.at(-1).hash], [head.seq, head.hash]);
});

test('an entry that was changed ends the check with status 1 and its place', async (t) => {
  const { run, change } = await site(t);
  change("update audit set detail = replace(detail, 'Q2', 'Q9') where detail like '%Q2%'");
  const { status, stdout, stderr } = await run('audit', 'verify');
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /^panda-secrets: the audit of the system breaks at entry \d+: the entry was changed\n$/);
});

test('a chain that was cut and whose head was put back shows against heads that were kept', async (t) => {
  const { run, change, data } = await site(t);
  const kept = join(data, 'heads');
  writeFileSync(kept, (await run('audit', 'heads')).stdout);
  assert.equal((await run('audit', 'verify', '--heads', kept)).status, 0);
  change(`
    delete from audit where owner_id = 'system' and seq = (select max(seq) from audit where owner_id = 'system');
    update audit_heads set audit_seq = audit_seq - 1,
      audit_hash = (select hash from audit where owner_id = 'system' order by seq desc limit 1) where chain = 'system'`);
  assert.equal((await run('audit', 'verify')).status, 0, 'the chain alone does not show it');
  const cut = await run('audit', 'verify', '--heads', kept);
  assert.equal(cut.status, 1);
  assert.match(cut.stderr, /breaks at entry \d+: the entries from here to \d+, of which a head was kept, are missing/);

  await run('queue', 'add', 'Q4');
  const remade = await run('audit', 'verify', '--heads', kept);
  assert.match(remade.stderr, /is not the one whose head was kept: the chain was made anew/);
  writeFileSync(kept, 'no heads');
  const { status, stderr } = await run('audit', 'verify', '--heads', kept);
  assert.deepEqual([status, /line 1 of .* is not one of "panda-secrets audit heads"/.test(stderr)], [1, true]);
});
