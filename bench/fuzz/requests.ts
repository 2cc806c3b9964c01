// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { FIRST_TASK_ID } from '../../src/protocol/limits.ts';
import type { WireRequest } from './send.ts';

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
  pattern?: string;
  /** The texts of `enum` are known to mean something; others are allowed as well. */
  isOpen?: boolean;
}

const text = (...known: string[]): Schema => ({ type: 'string', enum: known, isOpen: true });
const fields = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties });

const LOGIN = fields({
  client_id: text('pbook'),
  redirect_uri: text('http://127.0.0.1/callback', 'http://127.0.0.1:99999/callback', 'http://[::1]:8080/callback'),
  response_type: text('code', 'token', 'code id_token'),
  response_mode: text('query', 'form_post', 'jwt'),
  code_challenge: text('A'.repeat(43)),
  code_challenge_method: text('S256', 'plain'),
  scope: text('openid', 'openid profile email offline_access panda'),
  prompt: text('login', 'none', 'consent', 'login consent'),
  claims: text('{}', '{"id_token":{"sub":null}}', '{"userinfo":[]}', '['),
  request: text('x.y.z', 'eyJhbGciOiJub25lIn0.e30.'),
  request_uri: text('urn:x', 'https://127.0.0.1:1/x'),
  resource: text('http://127.0.0.1/api/v1', 'x:y'),
  max_age: text('0', '-1', '1e9'),
  id_token_hint: text('x.y.z'),
  login_hint: text('user0'),
  ui_locales: text('de en', 'x-'.repeat(500)),
  state: text('s'),
  nonce: text('n'),
  dpop_jkt: text('x'),
});
const TOKEN = fields({
  client_id: text('pbook'),
  grant_type: text(
    'authorization_code',
    'refresh_token',
    'urn:ietf:params:oauth:grant-type:device_code',
    'client_credentials',
    'password',
  ),
  code: text('x'),
  code_verifier: text('A'.repeat(43)),
  redirect_uri: text('http://127.0.0.1/callback'),
  refresh_token: text('x'),
  device_code: text('x'),
  resource: text('x:y'),
  scope: text('openid'),
  token: text('x', 'x.y.z'),
  token_type_hint: text('refresh_token', 'access_token'),
  client_assertion: text('x.y.z'),
  client_assertion_type: text('urn:ietf:params:oauth:client-assertion-type:jwt-bearer'),
});
const PAGE = fields({
  name: text('user0'),
  password: text('a wrong password'),
  again: text('a wrong password'),
  action: text('allow', 'cancel'),
  user_code: text('BCDF-GHJK', 'bcdfghjk'),
  xsrf: text('x'),
  confirm: text('yes'),
  abort: text('yes'),
  logout: text('yes'),
});
const OLDER = fields({
  siteName: text('default'),
  jobId: text('1', '2', '3'),
  ids: text('1,2,3', 'x'),
  state: text('running', 'finished', 'failed', 'starting'),
  attemptNr: text('1'),
  client_name: text('x'),
  token_key: text('x'),
  timeout: text('60'),
});
const NOTHING = fields({});

/** Routes that the OpenAPI document does not have. */
const OTHERS: Record<string, Schema> = {
  ...Object.fromEntries(
    ['getJob', 'updateJob', 'getStatus', 'getResourceTypes', 'get_access_token', 'no_such_call'].map((name) => [
      `POST /server/panda/${name}`,
      OLDER,
    ]),
  ),
  'GET /cache/jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz': NOTHING,
  'GET /trf/user/runPandaSecrets': NOTHING,
  'GET /auth/panda_auth_config.json': NOTHING,
  'GET /.well-known/openid-configuration': NOTHING,
  'GET /oidc/jwks': NOTHING,
  'GET /': NOTHING,
  'POST /nothing': PAGE,
  'GET /oidc/authorize': LOGIN,
  'POST /oidc/authorize': LOGIN,
  'GET /oidc/authorize/x': LOGIN,
  'POST /oidc/device': LOGIN,
  'POST /oidc/token': TOKEN,
  'POST /oidc/revoke': TOKEN,
  'GET /oidc/userinfo': TOKEN,
  'POST /oidc/userinfo': TOKEN,
  'GET /oidc/sign-out': LOGIN,
  'POST /oidc/sign-out/confirm': PAGE,
  'GET /device': PAGE,
  'POST /device': PAGE,
  'GET /device/x': PAGE,
  'GET /oidc/interaction/x': PAGE,
  'POST /oidc/interaction/x': PAGE,
  'GET /password/x': PAGE,
  'POST /password/x': PAGE,
};

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
  const others = Object.entries(OTHERS).map(([line, schema]) => {
    const [method = '', path = ''] = line.split(' ');
    return { method, path, schema };
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

const TASK: Record<string, unknown> = buildTaskParameters(
  { exec: 'true', outDataset: 'user.x.y', outputs: ['r.txt'], jobs: 2, useSecrets: false, commandLine: 'prun' },
  'panda',
  { origin: 'http://127.0.0.1:25080', fileName: 'jobO.00000000-0000-4000-8000-000000000000.tar.gz' },
);

/** Tasks that may be submitted, each with a name of its own, and such with one field as it may not be. */
const tasks = fc
  .tuple(fc.nat(), fc.option(fc.tuple(fc.constantFrom(...Object.keys(TASK)), fc.oneof(fc.jsonValue(), anyText))))
  .map(([n, spoilt]) => ({ ...TASK, taskName: `user.x.${n}/`, ...(spoilt && { [spoilt[0]]: spoilt[1] }) }));

/** Values that mean something to the server, by the name of their argument. */
const KNOWN: Record<string, fc.Arbitrary<unknown>> = {
  task_id: fc.nat(3000).map((n) => FIRST_TASK_ID + n),
  job_id: fc.integer({ min: 1, max: 6000 }),
  job_ids: fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 20 }),
  attempt: fc.constantFrom(1, 2),
  attempt_nr: fc.constantFrom(1, 2),
  key: fc.constantFrom('BENCH_SECRET_0', 'A', 'B', '___file___:f', null),
  keys: fc.constant(['BENCH_SECRET_0', 'A']),
  queue: fc.constantFrom('default', 'spare'),
  queues: fc.constantFrom(['default'], ['*'], ['spare', 'default']),
  site_name: fc.constant('default'),
  name: fc.constantFrom('spare', 'r.txt'),
  job_status: fc.constantFrom('running', 'finished', 'failed', 'starting', 'closed'),
  status: fc.constantFrom('running', 'finished'),
  task_parameters: tasks,
  since: fc.constant('2026-01-01 00:00:00'),
  filters: fc.constantFrom('{}', '{"status":"done"}', '{"taskName":"%"}'),
};

function anyOfSchema(schema: Schema | undefined, depth = 0): fc.Arbitrary<unknown> {
  if (!schema || depth > 4) return fc.jsonValue({ maxDepth: 3 });
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum && schema.isOpen) return fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...schema.enum) }, anyText);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.pattern?.includes('{43}')) return fc.constantFrom('A'.repeat(43), '_'.repeat(43));
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
        Object.entries(schema.properties ?? {}).map(([name, field]) => [
          name,
          withKnown(name, anyOfSchema(field, depth + 1)),
        ]),
      );
      return fc.record(fields, { requiredKeys: schema.required?.filter((name) => name in fields) ?? [] });
    }
  }
}

function withKnown(name: string, any: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const known = KNOWN[name];
  return known ? fc.oneof({ weight: 4, arbitrary: known }, any) : any;
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
const FORMS = ['plain', 'plain', 'plain', 'gzip', 'deep', 'raw', 'query', 'fields', 'fields', 'file'] as const;
const FRAMINGS = [...Array<'length'>(9).fill('length'), 'chunked', 'chunked', 'short', 'long', 'both'] as const;
const deepInGzip = gzipSync(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);

/** Requests, the same for the same seed. `whole`: HTTP asks for an answer. */
export function requestsFor(
  calls: readonly DescribedCall[],
  tokens: readonly string[],
  { seed, count }: { seed: number; count: number },
): WireRequest[] {
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
      form: fc.constantFrom(...FORMS),
      framing: fc.constantFrom(...FRAMINGS),
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
      const body = inQuery ? Buffer.alloc(0) : bodyOf(form, args, raw);
      const lengths: Record<string, string> = {
        length: `Content-Length: ${body.length}\r\n`,
        chunked: 'Transfer-Encoding: chunked\r\n',
        short: `Content-Length: ${Math.max(body.length - 1, 0)}\r\n`,
        long: `Content-Length: ${body.length + 10}\r\n`,
        both: `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`,
      };
      const authorization = token === '' ? '' : `Authorization: Bearer ${token}\r\n`;
      const ownType = form === 'fields' ? TYPES[2] : form === 'file' ? TYPES[1] : type;
      const typed = ownType ? `Content-Type: ${ownType}\r\n` : '';
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
      return { bytes, whole: framing === 'length' || framing === 'chunked', isHead: method === 'HEAD' };
    });
}

function bodyOf(form: (typeof FORMS)[number], args: unknown, raw: Uint8Array): Buffer {
  switch (form) {
    case 'gzip':
      return gzipSync(JSON.stringify(args) ?? '');
    case 'deep':
      return deepInGzip;
    case 'raw':
      return Buffer.from(raw);
    case 'fields':
      return Buffer.from(queryOf(args));
    case 'file':
      return Buffer.concat([
        Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a.tar.gz"\r\n\r\n'),
        raw,
        Buffer.from(raw.length % 5 === 0 ? '\r\n--x' : '\r\n--x--\r\n'),
      ]);
    default:
      return Buffer.from(JSON.stringify(args) ?? '');
  }
}

function queryOf(args: unknown): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(Object(args))) {
    for (const one of Array.isArray(value) ? value : [value])
      query.append(name, typeof one === 'string' ? one : String(JSON.stringify(one)));
  }
  return query.toString().slice(0, 20_000);
}
