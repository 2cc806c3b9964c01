import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allCalls } from '../server/calls.ts';
import { startServer } from '../server/start.ts';
import pandas from './panda-calls.json' with { type: 'json' };

interface PandaCall {
  path: string;
  http: string;
  /** Name -> type, and `required`. */
  parameters: Record<string, string>;
}

const PANDAS = new Map((pandas.calls as unknown as PandaCall[]).map((call) => [call.path, call]));
const OURS = (await allCalls()).filter((call) => call.panda);

/** Where the document differs from the server that it describes, or this system from both. */
const DIFFERENCES: Record<string, string> = {
  'creds/get_user_secrets method': 'the document says POST; the server takes GET, and the client sends it',
  'file_server/upload_cache_file file': 'a part of the multipart body, not an argument',
  'system/get_attributes **kwargs': 'stands for any argument',
  'task/get_tasks_detailed_info_since since required': 'the server needs none, and the client leaves it out',
};

test("a call has PanDA's method, PanDA's arguments, and needs those that PanDA's needs", () => {
  const found: string[] = [];
  for (const call of OURS) {
    const theirs = PANDAS.get(call.path);
    assert.ok(theirs, `${call.path} is said to be PanDA's and is not in the list`);
    if (theirs.http !== call.http) found.push(`${call.path} method`);
    const required = new Set<string>(call.parameters.required ?? []);
    const names = new Set([...Object.keys(theirs.parameters), ...Object.keys(call.parameters.properties)]);
    for (const name of names) {
      const wanted: string | undefined = theirs.parameters[name];
      const type: string | undefined = wanted?.split(' ')[0];
      const own = call.parameters.properties[name] as Record<string, unknown> | undefined;
      if (own === undefined) found.push(`${call.path} ${name}`);
      else if (type === undefined) assert.ok(!required.has(name), `${call.path} ${name} is ours, and must be optional`);
      else {
        assert.ok(takes(own, type), `${call.path} ${name} must take ${type}`);
        if (required.has(name) !== wanted?.endsWith(' required')) found.push(`${call.path} ${name} required`);
      }
    }
  }
  assert.deepEqual(found.sort(), Object.keys(DIFFERENCES).sort());
});

test('every call in the list of PanDA is served', async (t) => {
  const server = await startServer(t);
  for (const { path, http } of PANDAS.values()) {
    const method = path === 'creds/get_user_secrets' ? 'GET' : http;
    const { status } = await fetch(`${server.url}/api/v1/${path}`, { method });
    assert.equal(status, 200, path);
  }
});

/** True when a schema accepts values of one of the document's types. An object stands for JSON text in it. */
function takes(schema: Record<string, unknown>, type: string): boolean {
  const kinds = [schema, ...((schema['anyOf'] as Record<string, unknown>[] | undefined) ?? [])].map(
    (kind) => kind['type'],
  );
  if (kinds.includes(type)) return true;
  return (type === 'integer' && kinds.includes('number')) || (type === 'string' && kinds.includes('object'));
}
