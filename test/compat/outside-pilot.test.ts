import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import * as calls from '../../src/protocol/calls/pilot.ts';
import { createSigner } from '../identity/signer.ts';
import { startServer, type TestServer } from '../server/start.ts';

/** A site's own issuer of tokens, on a free port. */
async function startIssuer(t: TestContext) {
  const keys: unknown[] = [];
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signer = await createSigner({ issuer });
  keys.push(signer.jwk);
  const exp = Math.floor(Date.now() / 1000) + 600;
  return {
    issuer,
    token: (sub: string, groups: string[]) => signer.sign({ sub, exp, groups }),
  };
}

async function submit(t: TestContext, server: TestServer): Promise<void> {
  const token = await server.userToken('alice');
  const alice = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => alice.close());
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(randomUUID()));
  const task = { exec: 'true', outDataset: `user.alice.${randomUUID()}`, outputs: [], jobs: 2, useSecrets: false };
  await alice.submitTask(buildTaskParameters({ ...task, commandLine: 'prun' }, 'panda', sandbox));
}

test("an outside issuer's pilot serves the queues that the configuration maps its groups to, and no other", async (t) => {
  const { issuer, token } = await startIssuer(t);
  const pilots = { 'vo/pilot': ['QUEUE_A'] };
  const server = await startServer(t, {
    settings: { issuers: [{ issuer, audience: ['panda'], jwksUri: `${issuer}/keys`, pilots }] },
  });
  for (const queue of ['QUEUE_A', 'QUEUE_B']) await server.pilotToken(queue);
  await submit(t, server);
  const pilot = await token('pilot-1', ['vo', 'vo/pilot']);
  const older = async (bearer: string, siteName: string) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ siteName });
    const answer = await fetch(`${server.url}/server/panda/getJob`, { method: 'POST', headers, body });
    return (await answer.json()) as { StatusCode: number; errorDialog?: string };
  };

  for (const queue of ['QUEUE_B', 'default']) {
    const refused = await server.ask(pilot, calls.acquireJobs, { site_name: queue });
    assert.equal(refused.success, false);
    assert.match(refused.message, new RegExp(`token is for QUEUE_A, not for "${queue}"`));
    const { StatusCode, errorDialog } = await older(pilot, queue);
    assert.equal(StatusCode, 60);
    assert.match(String(errorDialog), /token is for QUEUE_A/);
  }
  assert.equal((await server.ask(pilot, calls.acquireJobs, { site_name: 'QUEUE_A' })).success, true);
  assert.equal((await older(pilot, 'QUEUE_A')).StatusCode, 0);

  // Without a group that is mapped it is a user, whatever it calls itself.
  const user = await token('pilot-2', ['vo', 'other/pilot']);
  assert.match(
    (await server.ask(user, calls.acquireJobs, { site_name: 'QUEUE_A' })).message,
    /production or pilot role required/,
  );
  assert.equal((await older(user, 'QUEUE_A')).StatusCode, 60);
});
