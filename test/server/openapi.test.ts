import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { exampleOf, type Schema } from '../../src/pages/examples.ts';
import { BYTES } from '../../src/protocol/calls/call.ts';
import { allCalls } from './calls.ts';
import { startServer, type TestServer } from './start.ts';

const run = promisify(execFile);
const CURL = { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'there is no curl here' };

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

test('every argument of every call is described, and its examples are ones that the call takes', async () => {
  for (const { path, parameters } of await allCalls()) {
    for (const [name, schema] of Object.entries(parameters.properties as Record<string, Schema>)) {
      const description = schema.description ?? schema.anyOf?.find((one) => one.description)?.description;
      assert.ok(description, `${path} does not say what ${name} is`);
      assert.ok(Value.Check(schema as TSchema, exampleOf(schema)), `${path}: the example of ${name}`);
    }
  }
});

test('the example of every answer is one', async () => {
  for (const { path, answer } of await allCalls()) {
    if (answer === BYTES) continue;
    const example = exampleOf(answer as Schema);
    assert.ok(Value.Check(answer, example), `${path}: ${JSON.stringify(example)}`);
  }
});

test('the document says whose token each call needs, and which need none', async (t) => {
  const { paths } = await documentOf(await startServer(t));
  const callers = new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).map((one) => [path.slice(8), one] as const),
    ),
  );
  const free = [...callers].filter(([, one]) => one.security?.length === 0).map(([path]) => path);
  assert.deepEqual(free.sort(), ['pilot/join', 'system/is_alive']);
  for (const [path, caller] of [
    ['creds/set_user_secrets', 'user'],
    ['admin/list_users', 'operator'],
    ['pilot/acquire_jobs', 'pilot'],
    ['system/get_user_attributes', 'any'],
  ] as const) {
    assert.equal(callers.get(path)?.['x-caller'], caller, path);
  }
});

test('the document is a page for people as well, which loads nothing and runs nothing', async (t) => {
  const server = await startServer(t);
  const { status, headers, page } = await readPage(server);
  assert.equal(status, 200);
  assert.match(headers.get('content-type') ?? '', /^text\/html/);
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /^default-src 'none'; style-src 'sha256-[^']+'; img-src 'self'; form-action 'self'; frame-anc/);
  assert.doesNotMatch(page, /<script|<link|src=|href="https?:|\son\w+=/);
  for (const call of await allCalls()) assert.ok(page.includes(`<code>${call.path}</code>`), call.path);
  assert.match(page, /<code>data<\/code> is list of object/);
  assert.match(page, /bytes of the value as it was sent/);
  assert.match(page, /<code>tls_queues\[\]\.queue<\/code>/);
  assert.match(page, /Needs no token\./);
  assert.ok(!page.includes('`'), 'Markdown is rendered');
});

test('a search shows the calls that have all of its words, wherever they stand', async (t) => {
  const server = await startServer(t);
  const found = async (q: string) => {
    const { page } = await readPage(server, q);
    return [...page.matchAll(/<details id="(\w+-[\w-]+)"( open)?>/g)].map(([, id, open]) => `${id}${open ?? ''}`);
  };
  assert.deepEqual(await found('again NEW version kept'), ['post-creds-restore_secret open']);
  assert.ok((await found('secret')).length > 5);
  assert.deepEqual(await found('nothing-has-this'), []);
  const { page } = await readPage(server, '"><img src=x onerror=alert(1)>');
  assert.match(page, /value="&quot;&gt;&lt;img src=x onerror=alert\(1\)&gt;"/);
  assert.doesNotMatch(page, /<img/);
});

test('the lines of the page do what they say, when they are typed to a shell', CURL, async (t) => {
  const server = await startServer(t);
  const home = mkdtempSync(join(tmpdir(), 'panda-docs-'));
  t.after(() => rmSync(home, { recursive: true }));
  const { page } = await readPage(server);
  const env = { PATH: process.env['PATH'], HOME: home, PANDA_AUTH_ID_TOKEN: await server.userToken('alice') };
  const lines = [...page.matchAll(/<pre[^>]*><code>(.*?)<\/code>/gs)].map(([, line = '']) => unescaped(line));
  const setUp = lines.find((line) => line.startsWith('export SERVER='));
  const lineOf = (path: string) => lines.find((line) => line.startsWith('curl') && line.includes(`/${path}"`));
  for (const [path, answered] of [
    ['system/is_alive', /"success":true/],
    ['creds/set_user_secrets', /"success":true/],
    ['creds/get_user_secrets', /random_string/],
    ['creds/get_secret_versions', /"current":true/],
    ['creds/restore_secret', /"version":2/],
    ['task/get_status', /you have no task 10000000/],
  ] as const) {
    const script = `${setUp}\n${lineOf(path)}`;
    const { stdout } = await run('sh', ['-c', script.replaceAll('curl ', 'curl -s ')], { env });
    assert.match(stdout, answered, path);
  }
});

/** Names and descriptions, which the document has as the schemas have them. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties = {}, description } = schema as { properties?: object; description?: unknown };
  const own = [...Object.keys(properties), ...(typeof description === 'string' ? [description] : [])];
  return [...own, ...Object.values(schema).flatMap(fieldsOf)].sort();
}

async function readPage({ url }: TestServer, search?: string) {
  const query = search === undefined ? '' : `?${new URLSearchParams({ q: search })}`;
  const response = await fetch(`${url}/api/v1/docs${query}`);
  return { status: response.status, headers: response.headers, page: await response.text() };
}

function unescaped(text: string): string {
  const signs: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' };
  return text.replace(/&(lt|gt|quot|#39|amp);/g, (sign) => signs[sign] ?? sign);
}

interface Described {
  security?: object[];
  'x-caller'?: string;
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
