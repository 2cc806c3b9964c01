import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { isWatching } from '../routes/watch.ts';
import type { RefusedHttp } from './unrouted.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's end, for its log line: `ok`, or the code of the error. */
    outcome: string;
    /** Milliseconds of it that the server waited for news, as it was asked to. */
    waited: number;
  }
}

/**
 * One line for each request, made of what cannot hold a secret: the call's path as this server spells it (never the URL, whose
 * query may name secrets), the outcome's code, the caller's subject. No header, argument or message reaches it.
 */
export function logRequests(app: FastifyInstance, logger: Logger): void {
  app.decorateRequest('outcome', 'ok');
  app.decorateRequest('waited', 0);
  app.addHook('onResponse', (request, reply, done) => {
    if (isWatching(request)) return done();
    logger.info({
      method: request.method,
      path: request.routeOptions.url ?? '(unknown)',
      status: reply.statusCode,
      outcome: request.outcome,
      ms: Math.round(workedMilliseconds(request, reply) * 10) / 10,
      caller: request.caller?.subject,
    });
    done();
  });
}

/** The line of one that Node could not read, so that it has neither method nor path. */
export function logBadHttp(logger: Logger, { status, reason }: RefusedHttp): void {
  logger.info({ path: '(unknown)', status, outcome: 'ERR_BAD_HTTP', reason });
}

/** The time of an answer that was the server's own. */
export function workedMilliseconds({ waited }: FastifyRequest, { elapsedTime }: FastifyReply): number {
  return Math.max(0, elapsedTime - waited);
}

interface LoggedError {
  error: string;
  code?: string | undefined;
  /** The code of the error behind it: of the system, or of PostgreSQL. */
  cause?: string | undefined;
  stack?: string[];
}

/** An error as it may be logged: its kind and where it happened. A message may quote what it choked on, so it is left out. */
export function withoutMessage(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { error: typeof error };
  const stack = error.stack ?? '';
  const frames = stack
    .slice(Math.max(0, stack.indexOf(error.message)) + error.message.length)
    .split('\n')
    .filter((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line));
  return {
    error: error.constructor.name,
    code: codeOf(error),
    cause: codeOf(error.cause),
    stack: frames.map((line) => line.trim()),
  };
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
