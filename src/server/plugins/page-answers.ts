import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { drawPage, notice, type Page } from '../../pages/page.ts';
import { Forbidden, InsecureTransport, NotFound, PandaError, TooManyTries } from '../../protocol/errors.ts';
import { withoutMessage } from './request-log.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Stands on the pages. */
    siteName: string;
  }
}

/** Errors of these routes are read by people, or by programs that speak OAuth: they have the status that they are. */
export function answerWithPages(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = error instanceof PandaError;
    request.outcome = known ? error.code : 'ERR_INTERNAL';
    const status = known
      ? statusOf(error)
      : error.statusCode !== undefined && error.statusCode < 500
        ? error.statusCode
        : 500;
    if (status === 500) logger.error({ path: request.routeOptions.url, ...withoutMessage(error) });
    if (error instanceof TooManyTries) reply.header('retry-after', error.retryAfterSeconds);
    const message = known
      ? error.message
      : status === 500
        ? 'Something is wrong with this server. Try again later.'
        : 'This request makes no sense.';
    if (!request.headers.accept?.includes('text/html')) {
      const code = error instanceof TooManyTries ? 'temporarily_unavailable' : 'invalid_request';
      return reply
        .code(status)
        .type('application/json')
        .send(JSON.stringify({ error: code, error_description: message }));
    }
    return sendPage(reply, notice(titleOf(error), sentence(message), { status }));
  });
}

function statusOf(error: PandaError): number {
  if (error instanceof TooManyTries) return 429;
  if (error instanceof NotFound) return 404;
  if (error instanceof Forbidden || error instanceof InsecureTransport) return 403;
  return 400;
}

function titleOf(error: unknown): string {
  if (error instanceof NotFound) return 'This link has expired';
  return error instanceof TooManyTries ? 'Too many attempts' : 'Something went wrong';
}

/** A message as a sentence of a page. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/[.]$/, '')}.`;
}

/** Answers with a page, under the name of the site. */
export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  const { status, headers, html } = drawPage(page, reply.server.siteName);
  return reply.code(status).headers(headers).send(html);
}
