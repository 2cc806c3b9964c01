import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BYTES } from '../../src/protocol/calls/call.ts';
import { allCalls } from './calls.ts';
import { startServer, type TestServer } from './start.ts';

test('every call of the protocol is served, and described in the OpenAPI document with its arguments', async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  for (const call of await allCalls()) {
    const operation = document.paths[`/api/v1/${call.path}`]?.[call.http.toLowerCase()];
    assert.ok(operation, call.path);
    const names = Object.keys(call.parameters.properties);
    const described = JSON.stringify(operation);
    for (const name of names) assert.ok(described.includes(`"${name}"`), `${call.path}: ${name}`);
  }
});

test('the document says what each call answers, in words where a name does not say it', async (t) => {
  const { paths } = await documentOf(await startServer(t));
  for (const { path, http, answer } of await allCalls()) {
    const content = paths[`/api/v1/${path}`]?.[http.toLowerCase()]?.responses['200']?.content ?? {};
    if (answer === BYTES)
      assert.deepEqual(Object.keys(content), ['application/octet-stream', 'application/json'], path);
    else {
      const [success, refusal] = content['application/json']?.schema.anyOf ?? [];
      assert.deepEqual(fieldsOf(success?.properties['data']), fieldsOf(answer), path);
      assert.deepEqual(
        [success, refusal].map((one) => one?.properties['success']),
        [
          { type: 'boolean', enum: [true] },
          { type: 'boolean', enum: [false] },
        ],
      );
    }
  }
  const upload = paths['/api/v1/file_server/upload_cache_file']?.['post'];
  assert.deepEqual(Object.keys(upload?.requestBody?.content ?? {}), ['multipart/form-data']);
  assert.match(JSON.stringify(paths['/api/v1/creds/list_user_secrets']), /bytes of the value as it was sent/);
});

test('the document is a page for people as well, which loads nothing and runs nothing', async (t) => {
  const server = await startServer(t);
  const response = await fetch(`${server.url}/api/v1/docs`);
  const page = await response.text();
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
  assert.doesNotMatch(page, /<script|<link|src=|https?:/);
  for (const call of await allCalls()) assert.ok(page.includes(`<code>${call.path}</code>`), call.path);
  assert.match(page, /<code>list_user_secrets|extension/);
  assert.match(page, /<code>data<\/code>: list of object/);
  assert.match(page, /bytes of the value as it was sent/);
  assert.match(page, /&lt;|&quot;/);
});

/** Names and descriptions, which the document has as the schemas have them. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties = {}, description } = schema as { properties?: object; description?: unknown };
  const own = [...Object.keys(properties), ...(typeof description === 'string' ? [description] : [])];
  return [...own, ...Object.values(schema).flatMap(fieldsOf)].sort();
}

interface Described {
  parameters?: { name: string }[];
  requestBody?: { content: object };
  responses: Record<
    string,
    { content: Record<string, { schema: { anyOf?: { properties: Record<string, object> }[] } }> }
  >;
}

async function documentOf({ url }: TestServer): Promise<{ paths: Record<string, Record<string, Described>> }> {
  return (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as Awaited<ReturnType<typeof documentOf>>;
}
