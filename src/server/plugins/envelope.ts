import { randomUUID } from 'node:crypto';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { notice } from '../../pages/page.ts';
import type { Call } from '../../protocol/calls/call.ts';
import { joinPilot } from '../../protocol/calls/pilot-session.ts';
import { refused } from '../../protocol/envelope.ts';
import { FAILURES, FAULTS, NoSpace, PandaError, Unauthenticated, Unavailable } from '../../protocol/errors.ts';
import { isFullDisk, isReadOnlyDisk } from '../../protocol/full-disk.ts';
import { dropBody } from './body.ts';
import { sendPage } from './page-answers.ts';
import { withoutMessage } from './request-log.ts';
import { isUnreadableUrl } from './unrouted.ts';

/** The time after which a program may try again what cannot be done now. */
const RETRY_AFTER_SECONDS = 10;

/**
 * Turns every error into an answer, in this one place: HTTP 200 and `success: false`, with the message of an error that is meant
 * for the caller. Anything else is answered with a reference to the log line that tells where it happened. While something is
 * away that the server needs, the status is 503: PanDA's clients take every status but 200 for a failure to communicate, which
 * it is, and a proxy sees it.
 */
export function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { message, code } = explain(error, request, logger);
    request.outcome = code;
    if (error instanceof Unauthenticated) request.countFailure();
    dropBody(request, reply);
    reply.code(statusOf(code, request));
    if (reply.statusCode === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
    return sendRefusal(reply, message);
  });
}

/**
 * A path that is no call: 404, as PanDA. A call by the wrong method: 200 and a message that names both. Neither has a body that anybody
 * asked for: it is dropped unread.
 */
export function answerUnknownCalls(app: FastifyInstance, calls: ReadonlyMap<string, readonly Call['http'][]>): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    request.refuseFlood();
    request.countFailure();
    dropBody(request, reply);
    answerUnknownCall(request, reply, calls);
  });
  app.setNotFoundHandler((request, reply) => answerUnknownCall(request, reply, calls));
}

function answerUnknownCall(
  request: FastifyRequest,
  reply: FastifyReply,
  calls: ReadonlyMap<string, readonly Call['http'][]>,
): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '';
  const expected = calls.get(path);
  if (!expected) {
    request.outcome = 'ERR_UNKNOWN_CALL';
    if (isForPage(request))
      return sendPage(reply, notice('No such page', 'There is no page at this address.', { status: 404 }));
    const message = isUnreadableUrl(path)
      ? 'the URL cannot be read'
      : 'there is no such call; /api/v1/openapi.json lists them';
    return sendRefusal(reply.code(404), message);
  }
  request.outcome = 'ERR_WRONG_METHOD';
  return sendRefusal(
    reply.code(200),
    `wrong HTTP method: expecting ${expected.join(' or ')}, received ${request.method}`,
  );
}

/** A browser asks for something to look at, and not for a call. */
function isForPage({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && !url.startsWith('/api/') && headers.accept?.includes('text/html') === true;
}

function explain(error: FastifyError, request: FastifyRequest, logger: Logger): { message: string; code: string } {
  if (error instanceof PandaError) {
    if (FAULTS.has(error.code)) logger.error({ path: request.routeOptions.url, ...withoutMessage(error) });
    return error;
  }
  if (request.raw.destroyed && !request.raw.complete) {
    return { message: 'the request ended before it was complete', code: 'ERR_CLIENT_GONE' };
  }
  // The HTTP layer's own refusals: their texts are fixed.
  if (/^FST_/.test(error.code ?? '') && error.statusCode !== undefined && error.statusCode < 500) {
    return { message: error.message, code: error.code };
  }
  if (isFullDisk(error)) {
    logger.error(
      { part: 'disk', path: request.routeOptions.url, ...withoutMessage(error) },
      'the disk is full: make room',
    );
    return new NoSpace();
  }
  if (isReadOnlyDisk(error)) {
    logger.error(
      { part: 'disk', path: request.routeOptions.url, ...withoutMessage(error) },
      'the disk takes no writes: its file system is read-only, or failed',
    );
    return new Unavailable(
      "the server's disk takes no writes at the moment, and nothing was kept: tell its operator, and try again later",
    );
  }
  const reference = randomUUID();
  logger.error({ reference, path: request.routeOptions.url, ...withoutMessage(error) });
  return { message: `internal error, reference ${reference}`, code: 'ERR_INTERNAL' };
}

/**
 * A pilot that joins or has a session, as none of PanDA's, is told by the status whether a refusal is about what it asked (200), about
 * its session (401), or a trouble that passes (429, 500, 503).
 */
function statusOf(code: string, { headers, routeOptions }: FastifyRequest): number {
  if (code === 'ERR_UNAVAILABLE') return 503;
  const hasSession = headers.dpop !== undefined;
  if (!hasSession && routeOptions.config?.call?.path !== joinPilot.path) return 200;
  if (hasSession && code === 'ERR_UNAUTHENTICATED') return 401;
  if (code === 'ERR_TOO_MANY_TRIES') return 429;
  return FAILURES.has(code) ? 500 : 200;
}

function sendRefusal(reply: FastifyReply, message: string): FastifyReply {
  return reply.type('application/json').send(JSON.stringify(refused(message)));
}
