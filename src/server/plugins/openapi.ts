import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { type CallerKind, createApiPage, type OpenApiDocument } from '../../pages/openapi.ts';
import { BYTES, type Call } from '../../protocol/calls/call.ts';
import { API } from '../route.ts';

/**
 * The OpenAPI document of every call, made from the same schemas that check arguments and give answers their types, at
 * `/api/v1/openapi.json`; for people at `/api/v1/docs`.
 *
 * @param origin the server's public address, known once it listens
 */
export async function describeCalls(app: FastifyInstance, origin: () => string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'panda-secrets',
        description: "PanDA's v1 API as far as this system has it, and extensions in the same style.",
        version: '1',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => {
      const call = route.config?.call;
      return {
        url,
        schema: call
          ? describe(call, route.method as Call['http'], schema, route.config?.caller ?? 'none')
          : { hide: true },
      };
    },
  });
  let document: string | undefined;
  app.get(`${API}/openapi.json`, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json').send(document);
  });
  let draw: ReturnType<typeof createApiPage> | undefined;
  app.get<{ Querystring: { q?: unknown } }>(`${API}/docs`, async (request, reply) => {
    const { q } = request.query;
    const search = typeof q === 'string' ? q.slice(0, MAX_SEARCH_CHARS) : '';
    draw ??= createApiPage(app.swagger() as unknown as OpenApiDocument, app.siteName);
    const { headers, html } = draw({ origin: origin(), search });
    return reply.headers(headers).send(html);
  });
}

const MAX_SEARCH_CHARS = 100;

/** @param http as it is served: one call goes both ways */
function describe(call: Call, http: Call['http'], schema: FastifySchema, caller: CallerKind): FastifySchema {
  return {
    ...schema,
    ...(call.body && { body: BODIES[call.body], consumes: [call.body] }),
    summary: call.summary,
    operationId: `${http.toLowerCase()}_${call.path.replace('/', '_')}`,
    tags: [call.path.split('/', 1)[0] ?? ''],
    response: { 200: { description: 'the answer, errors included', content: answerOf(call) } },
    ...(caller === 'none' && { security: [] }),
    ...{ 'x-panda': call.panda, 'x-caller': caller },
  };
}

const FILE = { type: 'string', format: 'binary' };
const BODIES = {
  'application/octet-stream': FILE,
  'multipart/form-data': { type: 'object', required: ['file'], properties: { file: FILE } },
};

const REFUSAL = envelope(false, { description: 'null, or a code of PanDA' });

function answerOf({ answer }: Call): Record<string, { schema: object }> {
  if (answer === BYTES) {
    return { 'application/octet-stream': { schema: FILE }, 'application/json': { schema: REFUSAL } };
  }
  return { 'application/json': { schema: { anyOf: [envelope(true, answer), REFUSAL] } } };
}

function envelope(success: boolean, data: object): object {
  const properties = { success: { type: 'boolean', const: success }, message: { type: 'string' }, data };
  return { type: 'object', required: ['success', 'message', 'data'], properties };
}
