import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../../src/protocol/calls/call.ts';
import * as creds from '../../src/protocol/calls/creds.ts';
import * as fileServer from '../../src/protocol/calls/file-server.ts';
import * as job from '../../src/protocol/calls/job.ts';
import * as pilot from '../../src/protocol/calls/pilot.ts';
import * as system from '../../src/protocol/calls/system.ts';
import * as task from '../../src/protocol/calls/task.ts';
import { startServer } from './start.ts';

const CALLS = [creds, fileServer, job, pilot, system, task].flatMap((group) => Object.values(group)) as Call[];

test('every call of the protocol is served, and described in the OpenAPI document with its arguments', async (t) => {
  const server = await startServer(t);
  const document = (await (await fetch(`${server.url}/api/v1/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { parameters?: { name: string }[]; requestBody?: object }>>;
  };
  for (const call of CALLS) {
    const operation = document.paths[`/api/v1/${call.path}`]?.[call.http.toLowerCase()];
    assert.ok(operation, call.path);
    const names = Object.keys(call.parameters.properties);
    const described = JSON.stringify(operation);
    for (const name of names) assert.ok(described.includes(`"${name}"`), `${call.path}: ${name}`);
  }
});

test('the document is a page for people as well, which loads nothing and runs nothing', async (t) => {
  const server = await startServer(t);
  const response = await fetch(`${server.url}/api/v1/docs`);
  const page = await response.text();
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
  assert.doesNotMatch(page, /<script|<link|src=|https?:/);
  for (const call of CALLS) assert.ok(page.includes(`<code>${call.path}</code>`), call.path);
  assert.match(page, /<code>list_user_secrets|extension/);
  assert.match(page, /&lt;|&quot;/);
});
