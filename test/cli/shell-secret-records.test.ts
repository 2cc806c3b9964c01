import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { run } from './run.ts';

const python = (code: string, url: string) => run('pbook', ['-c', code], url);

test('set_secret takes queues as text or a list, and refuses anything else before it sends', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok(), 'creds/list_user_secrets': () => ok([]) });
  const code = `
set_secret('A', 'long enough', queues='Q2,Q1')
set_secret('A', 'long enough', queues=['Q1'])
set_secret('A', 'long enough', queues='*')
set_secret('A', 'long enough')
for wrong in (1, b'Q1', ['Q1', 2]):
    try:
        set_secret('A', 'long enough', queues=wrong)
    except TypeError as error:
        print(error)
set_secret('A', 'long enough', queues='')
`;
  const { status, stdout, stderr } = await python(code, stub.url);
  const refusal = "queues must be a str such as 'Q1,Q2', or a list of names, not";
  assert.equal(stdout, `${'INFO : OK\n'.repeat(4)}${refusal} int\n${refusal} bytes\n${refusal} list\n`);
  assert.deepEqual([status, stderr], [1, 'ERROR : queues: name at least one queue, or "*" for any\n']);
  assert.deepEqual(
    stub.seen.flatMap(({ path, body }) => (path.endsWith('set_user_secrets') ? [JSON.parse(String(body)).queues] : [])),
    [['Q1', 'Q2'], ['Q1'], ['*'], undefined],
  );
});

test('secret_history, secret_versions and restore_secret work as on the command line, and return data when asked', async () => {
  const delivery = { at: '2026-03-01T12:30:45.678Z', task_id: 10000001, job_id: 7, attempt: 1, queue: 'Q1', node: 'n' };
  await using stub = await startStub({
    'creds/list_user_secrets': () => ok([{ name: 'A', kind: 'string' }]),
    'creds/get_secret_deliveries': () => ok([{ ...delivery, pilot: 'p', secrets: [{ name: 'A', version: 2 }] }]),
    'creds/get_secret_versions': () =>
      ok([{ version: 2, size: 5, created_at: '2026-03-01T12:00:00.000Z', current: true }]),
    'creds/restore_secret': () => ok({ version: 3 }),
  });
  const code = `
secret_history('A')
secret_versions('A')
print(restore_secret('A', 1))
print(secret_history(format='json')[0]['task_id'], secret_versions('A', format='json')[0]['version'])
`;
  const { status, stdout, stderr } = await python(code, stub.url);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, / 2026-03-01 12:30:45 .* A \(2\)\n/);
  assert.match(stdout, / {7}2 {2}2026-03-01 12:00:00 {6}5 {2}yes\n/);
  assert.match(stdout, /\nINFO : OK\n3\n10000001 2\n$/);
});
