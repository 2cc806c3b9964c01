import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Tell } from '../../events/events.ts';
import { isWatching } from '../routes/watch.ts';
import { workedMilliseconds } from './request-log.ts';
import type { RefusedHttp } from './unrouted.ts';

/** Tells of each answer, by the name of its call. Nothing of the request itself is in what is told. */
export function tellCalls(app: FastifyInstance, tell: Tell): void {
  app.addHook('onResponse', (request, reply, done) => {
    if (isWatching(request)) return done();
    const { outcome } = request;
    const seconds = workedMilliseconds(request, reply) / 1000;
    tell({ event: 'call.answered', call: callName(request), outcome, status: reply.statusCode, seconds });
    done();
  });
}

/** Tells of an answer to a request that Node could not read. */
export function tellBadHttp(tell: Tell, { status }: RefusedHttp): void {
  tell({ event: 'call.answered', call: 'other', outcome: 'ERR_BAD_HTTP', status, seconds: 0 });
}

/** The path of the request's call, as this server spells it; `page` for what people read, `other` where there is no such call. */
export function callName({ is404, routeOptions: { config } }: FastifyRequest): string {
  return config?.call?.path ?? config?.olderCall ?? (is404 ? 'other' : 'page');
}
