import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sayLast } from './body-time.ts';

/** No call has this path. */
const UNREADABLE_URL = '/unreadable-url';

/**
 * A URL that cannot be read (`/%zz`, or a part that is too long for its route) is refused before its request has a route, and so before all
 * hooks. It goes the way of a path that is no call instead, on which it is counted, logged and answered as those are.
 */
export function routeBadUrl(_error: Error, { raw, server }: FastifyRequest, reply: FastifyReply): void {
  raw.url = UNREADABLE_URL;
  server.routing(raw, reply.raw);
}

export function isUnreadableUrl(path: string): boolean {
  return path === UNREADABLE_URL;
}

/** A request that got no further than Node, and its answer. `reason`: Node's code, or this server's, with nothing of what was sent. */
export interface RefusedHttp {
  status: number;
  reason: string;
}

type AnswerBadHttp = (error: { code?: string }, socket: Socket) => void;

/**
 * For bytes that are no HTTP request: the last words before the connection is closed.
 *
 * @param note is told of each that was answered; not of a connection on which nothing came, as of somebody who looks for an open port
 */
export function answerBadHttp(note: (refused: RefusedHttp) => void = () => {}): AnswerBadHttp {
  return ({ code = 'ERR_UNKNOWN' }, socket) => {
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const [status, message] = BAD_HTTP[code] ?? ['400 Bad Request', 'this is not a valid HTTP request'];
    sayLast(socket, status, message);
    if (socket.bytesRead > 0) note({ status: Number.parseInt(status, 10), reason: code });
  };
}

/** For requests that Node, left alone, would answer itself or close the connection on, without a word to anybody. */
export function answerUnsupportedHttp({ server }: FastifyInstance, answer: AnswerBadHttp): void {
  server.on('connect', (_request, socket) => answer({ code: CONNECT }, socket as Socket));
  server.on('checkExpectation', ({ socket }) => answer({ code: EXPECT }, socket));
}

const CONNECT = 'ERR_CONNECT';
const EXPECT = 'ERR_EXPECT';

const BAD_HTTP: Record<string, [status: string, message: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the URL and headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive in time'],
  [CONNECT]: ['405 Method Not Allowed', 'this server is no proxy'],
  [EXPECT]: ['417 Expectation Failed', 'the only expectation that this server meets is 100-continue'],
};
