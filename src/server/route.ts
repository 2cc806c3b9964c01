import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Answer, Arguments, BYTES, Call } from '../protocol/calls/call.ts';
import type { Envelope, Refusal, Success } from '../protocol/envelope.ts';
import { castQuery, describeMistake, strictParameters } from './plugins/arguments.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The call that a route serves; other routes have none. */
    call?: Call;
    /** Its name where it is a call without a schema: one of PanDA's older calls. */
    olderCall?: string;
  }
}

/** Where the calls are. */
export const API = '/api/v1';

/** The content of a file; `size` in bytes. */
export interface FileAnswer {
  size: number;
  stream: Readable;
}

/** An answer's JSON as UTF-8, made beforehand. It may hold values of secrets: it is wiped when it was sent. */
export interface TextAnswer {
  text: Buffer;
}

/** In characters. */
const LONG_TEXT = 4096;

/** Makes what a call answers, as its schema says. A refusal without `data` is thrown as one of `protocol/errors.ts`. */
export type Handler<C extends Call> = (
  args: Arguments<C>,
  request: FastifyRequest,
) => Promise<C['answer'] extends typeof BYTES ? FileAnswer : Success<Answer<C>> | Refusal | TextAnswer>;

/**
 * Registers a call at `/api/v1/PATH`. The handler gets arguments that the call's schema accepted: those of a POST from the JSON
 * body, those of a GET, or of a POST with another body, from the query string.
 */
export function route<C extends Call>(app: FastifyInstance, call: C, handler: Handler<C>): void {
  const from = argumentsFrom(call);
  const parameters = strictParameters(call);
  const cast = castQuery(call);
  app.route({
    method: call.http,
    url: `${API}/${call.path}`,
    config: { call },
    schema: from === 'query' ? { querystring: parameters } : { body: parameters },
    ...(from === 'query' && {
      preValidation: (request, _reply, done) => {
        cast(request);
        done();
      },
    }),
    schemaErrorFormatter: (mistakes) => describeMistake(call, mistakes),
    handler: async (request, reply) => {
      const args = (from === 'query' ? request.query : request.body) as Arguments<C>;
      return payloadOf(reply, await handler(args, request));
    },
  });
}

function argumentsFrom({ http, body }: Call): 'query' | 'body' {
  return http === 'GET' || body !== undefined ? 'query' : 'body';
}

/** Fastify sends it. Of an answer that a handler has sent itself, and returns, it would wait for the end, with ten listeners. */
function payloadOf(reply: FastifyReply, answer: Envelope | FileAnswer | TextAnswer): Readable | Buffer | string {
  if ('stream' in answer) return payloadOfFile(reply, answer);
  reply.header('content-type', 'application/json; charset=utf-8');
  const payload = 'text' in answer ? answer.text : payloadOfText(JSON.stringify(answer));
  // It may hold secrets, and freed memory keeps what was in it.
  if (typeof payload !== 'string') reply.raw.once('close', () => payload.fill(0));
  return payload;
}

/** Node copies a string behind the header, and once more as bytes. */
function payloadOfText(text: string): Buffer | string {
  return text.length < LONG_TEXT ? text : Buffer.from(text, 'utf8');
}

/** The content of a file, to be returned by a handler. */
export function payloadOfFile(reply: FastifyReply, { size, stream }: FileAnswer): Readable {
  reply.header('content-type', 'application/octet-stream').header('content-length', size);
  return stream;
}
