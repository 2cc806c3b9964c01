import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { refused } from '../../protocol/envelope.ts';
import { BODY_SECONDS } from '../../protocol/limits.ts';

const TOO_SLOW = `the body did not arrive within ${BODY_SECONDS} seconds`;

/**
 * Gives every body `BODY_SECONDS` to arrive, read or not, however steadily it drips. The body of a file has no such end: the
 * connection's own timeout ends it when it stalls. Bodies that are read as JSON are timed by their reader, which can say so better.
 */
export function limitBodyTime(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { call } = request.routeOptions.config;
    const isFile = call?.body !== undefined && call.maxBodyBytes === undefined;
    const isReadAsJson = call?.http === 'POST' && call.body === undefined;
    if (!isFile && !isReadAsJson) endSlowBody(request, reply);
    done();
  });
}

/** Ends the connection when the body, or what is left of it, has not arrived in time. */
export function endSlowBody({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete || !hasBody(raw.headers)) return;
  const timer = setTimeout(() => {
    if (raw.complete) return;
    if (reply.raw.headersSent) raw.socket.destroy();
    else sayLast(raw.socket, '408 Request Timeout', TOO_SLOW);
  }, BODY_SECONDS * 1000).unref();
  raw.once('close', () => clearTimeout(timer));
}

/** Answers on the bare connection, and closes it. */
export function sayLast(socket: Socket, status: string, message: string): void {
  const body = JSON.stringify(refused(message));
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function hasBody(headers: Record<string, unknown>): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}
