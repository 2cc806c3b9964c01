import type { FastifyInstance } from 'fastify';
import { closed } from '../../metrics/labels.ts';
import type { CallSpan, Tracing } from '../../tracing/tracing.ts';
import { isWatching } from '../routes/watch.ts';
import { callName } from './told-calls.ts';

declare module 'fastify' {
  interface FastifyRequest {
    span: CallSpan | null;
  }
}

/** A span for each request, with the name of its call and how it ended: nothing of what was sent. */
export function traceCalls(app: FastifyInstance, tracing: Tracing): void {
  app.decorateRequest('span', null);
  app.addHook('onRequest', (request, _reply, done) => {
    if (isWatching(request)) return done();
    const { traceparent } = request.headers;
    const span = tracing.begin(typeof traceparent === 'string' ? traceparent : undefined);
    request.span = span;
    span.run(done);
  });
  // A body that is read comes by events of its socket, which belong to no request.
  app.addHook('preValidation', (request, _reply, done) => (request.span ? request.span.run(done) : done()));
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const outcome = closed('outcome', request.outcome);
    request.span?.end({ call: callName(request), method, status: reply.statusCode, outcome });
    done();
  });
}
