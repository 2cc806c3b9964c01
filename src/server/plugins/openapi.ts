import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { API } from '../route.ts';
import { type OpenApiDocument, openApiPage } from './openapi-page.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** Whether PanDA has the call too. */
    'x-panda'?: boolean;
  }
}

const ENVELOPE = {
  type: 'object',
  required: ['success', 'message', 'data'],
  properties: { success: { type: 'boolean' }, message: { type: 'string' }, data: {} },
};

/**
 * The OpenAPI document of every call, made from the same schemas that check arguments, at `/api/v1/openapi.json`; for people at
 * `/api/v1/docs`.
 */
export async function describeCalls(app: FastifyInstance): Promise<void> {
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
    transform: ({ schema, url }) => ({
      url,
      schema: {
        ...schema,
        response: { 200: { description: 'the envelope, errors included', ...ENVELOPE } },
        ...(schema?.tags ? {} : { hide: true }),
      },
    }),
  });
  let document: string | undefined;
  app.get(`${API}/openapi.json`, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json').send(document);
  });
  let page: ReturnType<typeof openApiPage> | undefined;
  app.get(`${API}/docs`, async (_request, reply) => {
    page ??= openApiPage(app.swagger() as unknown as OpenApiDocument);
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', page.policy)
      .header('referrer-policy', 'no-referrer')
      .send(page.text);
  });
}
