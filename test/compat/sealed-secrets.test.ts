import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { wireName } from '../../src/protocol/names.ts';
import { grantOf, sealedFor, siteNumber, userNumber } from '../sealed/samples.ts';
import { startServer } from '../server/start.ts';

// PanDA's own programs beside sealed secrets: requests as they send them.

test("PanDA's pbook lists a sealed secret as it is and deletes it, and its prun and pilot get plain ones alone", async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  const alice = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => alice.close());
  const user = await userNumber(1);
  const site = await siteNumber(1);
  const sealed = await sealedFor(user, [site.read]);
  await alice.setSecret(wireName('TOKEN'), sealed);
  await alice.setSecret(wireName('OTHER'), 'random_string');
  const headers = { authorization: `Bearer ${token}`, origin: 'panda', 'content-type': 'application/json' };
  const set = async (body: object) => {
    const address = `${server.url}/api/v1/creds/set_user_secrets`;
    const answer = await fetch(address, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as { success: boolean; message: string };
  };
  const listed = async () => {
    const answer = await fetch(`${server.url}/api/v1/creds/get_user_secrets`, { headers });
    return JSON.parse(((await answer.json()) as { data: string }).data);
  };
  assert.deepEqual(await listed(), { TOKEN: sealed, OTHER: 'random_string' });
  const overwritten = await set({ key: 'TOKEN', value: 'in clear' });
  assert.equal(overwritten.success, false);
  assert.match(overwritten.message, /sealed by its owner/);
  assert.equal((await listed()).TOKEN, sealed);

  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(randomUUID()));
  const submit = async (name: string, more: object) => {
    const task = { exec: 'true', outDataset: `user.alice.${name}`, outputs: [], jobs: 1, useSecrets: true };
    const options = { ...task, commandLine: 'prun', ...more };
    return (await alice.submitTask(buildTaskParameters(options, 'panda', sandbox))).taskId;
  };
  const granted = await submit('sealed', { sealed: true, secretNames: [wireName('TOKEN')] });
  await alice.grantTask(granted, grantOf(user, [site.read.identity], { task: granted }));

  const pilotToken = await server.pilotToken('tls', { allowTlsSecrets: true });
  const getJob = async () => {
    const body = new URLSearchParams({ siteName: 'tls', node: 'node1', prodSourceLabel: 'user', taskID: 'None' });
    const address = `${server.url}/server/panda/getJob`;
    const answer = await fetch(address, {
      method: 'POST',
      headers: { authorization: `Bearer ${pilotToken}`, origin: 'panda.pilot' },
      body,
    });
    return (await answer.json()) as Record<string, unknown>;
  };
  assert.notEqual((await getJob())['StatusCode'], 0, 'no job that has a grant');
  const { pilot } = await server.joinedPilot('tls');
  assert.deepEqual(await pilot.acquireJobs({ site_name: 'tls', node: 'node1' }), []);

  const plain = await submit('plain', {});
  const job = await getJob();
  assert.equal(Number(job['taskID']), plain);
  assert.equal(job['secrets'], '{"OTHER":"random_string"}');

  assert.equal((await set({ key: 'TOKEN', value: null })).success, true);
  assert.deepEqual(await listed(), { OTHER: 'random_string' });
});
