import type { FastifyRequest } from 'fastify';
import { InsecureTransport } from '../../protocol/errors.ts';
import { isLoopback } from '../../protocol/loopback.ts';

/**
 * A secure line is TLS to this server, TLS to a trusted proxy that says so (`X-Forwarded-Proto`), or no line at all: a peer on
 * this machine. A request that was forwarded from elsewhere is not local.
 *
 * @throws {InsecureTransport}
 */
export function requireSecureTransport(request: FastifyRequest): void {
  if (request.protocol === 'https') return;
  const { headers } = request;
  const forwarded = 'x-forwarded-for' in headers || 'x-forwarded-proto' in headers || 'forwarded' in headers;
  if (forwarded || !isLoopback(request.socket.remoteAddress)) throw new InsecureTransport();
}
