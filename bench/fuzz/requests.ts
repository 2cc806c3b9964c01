// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

/** A route, with the schema of its arguments. */
export interface DescribedCall {
  method: string;
  path: string;
  schema: Schema;
}

interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

/** Routes that the OpenAPI document does not have. */
const OTHERS = [
  ...['getJob', 'updateJob', 'getStatus', 'getResourceTypes', 'get_access_token', 'no_such_call'].map(
    (name) => `POST /server/panda/${name}`,
  ),
  ...['/cache/jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz', '/trf/user/runPandaSecrets', '/device'].map(
    (path) => `GET ${path}`,
  ),
  ...['/auth/panda_auth_config.json', '/oidc/authorize', '/oidc/interaction/x', '/password/x', '/'].map(
    (path) => `GET ${path}`,
  ),
  ...['/oidc/token', '/oidc/device', '/oidc/revoke', '/device', '/password/x', '/nothing'].map(
    (path) => `POST ${path}`,
  ),
];

/** Every route of the server, by its own account and beyond. */
export async function describedCalls(origin: string): Promise<DescribedCall[]> {
  const document = (await (await fetch(`${origin}/api/v1/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { parameters?: { name: string; schema: Schema }[]; requestBody?: unknown }>>;
  };
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => {
      const content = (requestBody as { content?: Record<string, { schema?: Schema }> } | undefined)?.content;
      const query = {
        type: 'object',
        properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
      };
      return { method: method.toUpperCase(), path, schema: content?.['application/json']?.schema ?? query };
    }),
  );
  const others = OTHERS.map((line) => {
    const [method = '', path = ''] = line.split(' ');
    return { method, path, schema: { type: 'object' } };
  });
  return [...calls, ...others];
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary', size: 'medium' }),
  fc.constantFrom(
    '',
    '\0',
    '${SURL}'.repeat(100),
    '%00',
    '../../x',
    '__proto__',
    'None',
    '1e999',
    '\ud800',
    'a'.repeat(70_000),
  ),
);

function anyOfSchema(schema: Schema | undefined, depth = 0): fc.Arbitrary<unknown> {
  if (!schema || depth > 4) return fc.jsonValue({ maxDepth: 3 });
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => anyOfSchema(one, depth + 1)));
  switch (schema.type) {
    case 'string':
      return anyText;
    case 'integer':
      return fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(0, 1, -1, 10_000_000, 10_000_001, 1e30));
    case 'number':
      return fc.double();
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(anyOfSchema(schema.items, depth + 1), { maxLength: 5 });
    default: {
      const fields = Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, field]) => [name, anyOfSchema(field, depth + 1)]),
      );
      return fc.record(fields, { requiredKeys: schema.required?.filter((name) => name in fields) ?? [] });
    }
  }
}

/** Arguments as the schema has them; at times with one of them, or all, as they may not be. */
function argumentsOf(schema: Schema): fc.Arbitrary<unknown> {
  const good = anyOfSchema(schema);
  const spoilt = fc
    .tuple(good, fc.constantFrom(...Object.keys(schema.properties ?? {}), 'x', '__proto__'), fc.jsonValue())
    .map(([args, name, value]) => ({ ...(args as object), [name]: value }));
  return fc.oneof({ weight: 4, arbitrary: good }, { weight: 3, arbitrary: spoilt }, fc.jsonValue(), fc.constant({}));
}

const TYPES = [
  'application/json',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  'text/plain',
  '',
];
const deep = Buffer.from(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);

/** Requests, the same for the same seed. `whole`: HTTP asks for an answer. */
export function requestsFor(
  calls: readonly DescribedCall[],
  tokens: readonly string[],
  { seed, count }: { seed: number; count: number },
): { bytes: Buffer; whole: boolean }[] {
  const one = fc.constantFrom(...calls).chain(({ method, path, schema }) =>
    fc.record({
      method: fc.oneof(
        { weight: 9, arbitrary: fc.constant(method) },
        fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'HEAD'),
      ),
      path: fc.oneof(
        { weight: 19, arbitrary: fc.constant(path) },
        fc.webPath().map((more) => `${path}${more}`),
      ),
      args: argumentsOf(schema),
      form: fc.constantFrom('plain', 'plain', 'plain', 'gzip', 'deep', 'raw', 'query'),
      framing: fc.constantFrom('length', 'length', 'length', 'chunked', 'short', 'long', 'both'),
      type: fc.constantFrom(...TYPES),
      token: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...tokens) }, fc.constantFrom('', 'x.y.z')),
      extra: fc.constantFrom(
        '',
        '',
        'Content-Encoding: gzip\r\n',
        'DPoP: x\r\n',
        'Accept: text/html\r\n',
        'Expect: 100-continue\r\n',
        'X-A: \x01\r\n',
      ),
      raw: fc.uint8Array({ maxLength: 200 }),
    }),
  );
  return fc
    .sample(one, { seed, numRuns: count })
    .map(({ method, path, args, form, framing, type, token, extra, raw }) => {
      const inQuery = method === 'GET' || method === 'HEAD' || form === 'query';
      const query = inQuery ? `?${queryOf(args)}` : '';
      const text = Buffer.from(inQuery ? '' : (JSON.stringify(args) ?? ''));
      const body =
        form === 'gzip' ? gzipSync(text) : form === 'deep' ? gzipSync(deep) : form === 'raw' ? Buffer.from(raw) : text;
      const lengths: Record<string, string> = {
        length: `Content-Length: ${body.length}\r\n`,
        chunked: 'Transfer-Encoding: chunked\r\n',
        short: `Content-Length: ${Math.max(body.length - 1, 0)}\r\n`,
        long: `Content-Length: ${body.length + 10}\r\n`,
        both: `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`,
      };
      const authorization = token === '' ? '' : `Authorization: Bearer ${token}\r\n`;
      const typed = type === '' ? '' : `Content-Type: ${type}\r\n`;
      const head = `${method} ${path}${query} HTTP/1.1\r\nHost: x\r\n${authorization}${typed}${extra}${lengths[framing]}\r\n`;
      const chunked = framing === 'chunked' || framing === 'both';
      const framed = chunked
        ? Buffer.concat([
            Buffer.from(`${body.length > 0 ? `${body.length.toString(16)}\r\n` : ''}`),
            body,
            Buffer.from(`${body.length > 0 ? '\r\n' : ''}0\r\n\r\n`),
          ])
        : body;
      const bytes = Buffer.concat([Buffer.from(head, 'latin1'), framed]);
      return {
        bytes,
        whole: (framing === 'length' || framing === 'chunked') && method !== 'HEAD' && !extra.includes('Expect'),
      };
    });
}

function queryOf(args: unknown): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(Object(args))) {
    for (const one of Array.isArray(value) ? value : [value])
      query.append(name, typeof one === 'string' ? one : String(JSON.stringify(one)));
  }
  return query.toString().slice(0, 20_000);
}
