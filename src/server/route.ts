import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Arguments, Call } from '../protocol/calls/call.ts';
import type { Envelope } from '../protocol/envelope.ts';
import { castQuery, describeMistake, strictParameters } from './plugins/arguments.ts';

/** Where the calls are. */
export const API = '/api/v1';

/** The content of a file; `size` in bytes. */
export interface FileAnswer {
  size: number;
  stream: Readable;
}

/** Makes what a call answers: an envelope or a file. A refusal is thrown as one of `protocol/errors.ts`. */
export type Handler<C extends Call> = (args: Arguments<C>, request: FastifyRequest) => Promise<Envelope | FileAnswer>;

/**
 * Registers a call at `/api/v1/PATH`. The handler gets arguments that the call's schema accepted: those of a GET from the query
 * string, those of a POST from the JSON body, or from the query string where the body is a file (`argumentsFrom`).
 */
export function route<C extends Call>(
  app: FastifyInstance,
  call: C,
  handler: Handler<C>,
  options: { argumentsFrom?: 'query' | 'body' } = {},
): void {
  const from = options.argumentsFrom ?? (call.http === 'GET' ? 'query' : 'body');
  const parameters = strictParameters(call);
  const cast = castQuery(call);
  app.route({
    method: call.http,
    url: `${API}/${call.path}`,
    schema: {
      ...(from === 'query' ? { querystring: parameters } : { body: parameters }),
      summary: call.summary,
      operationId: `${call.http.toLowerCase()}_${call.path.replace('/', '_')}`,
      tags: [call.path.split('/', 1)[0] ?? ''],
      'x-panda': call.panda,
    },
    ...(from === 'query' && {
      preValidation: (request, _reply, done) => {
        cast(request);
        done();
      },
    }),
    schemaErrorFormatter: (mistakes) => describeMistake(call, mistakes),
    handler: async (request, reply) => {
      const args = (from === 'query' ? request.query : request.body) as Arguments<C>;
      return send(reply, await handler(args, request));
    },
  });
}

function send(reply: FastifyReply, answer: Envelope | FileAnswer): FastifyReply {
  if ('stream' in answer) return sendFile(reply, answer);
  return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer));
}

/** Answers with the content of a file. */
export function sendFile(reply: FastifyReply, { size, stream }: FileAnswer): FastifyReply {
  return reply.header('content-type', 'application/octet-stream').header('content-length', size).send(stream);
}
