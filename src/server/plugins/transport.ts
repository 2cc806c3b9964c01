import type { FastifyRequest } from 'fastify';
import { InsecureTransport } from '../../protocol/errors.ts';

const LOOPBACK = /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/i;

/** Whether an address of a socket, or one to listen on, stays within this machine. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (LOOPBACK.test(address) || address === 'localhost');
}

/**
 * A secure line is TLS to this server, TLS to a trusted proxy that says so (`X-Forwarded-Proto`), or no line at all: a peer on
 * this machine. A request that was forwarded from elsewhere is not local, whoever forwarded it.
 *
 * @throws {InsecureTransport}
 */
export function requireSecureTransport(request: FastifyRequest): void {
  if (request.protocol === 'https') return;
  const { headers } = request;
  const forwarded = 'x-forwarded-for' in headers || 'x-forwarded-proto' in headers || 'forwarded' in headers;
  if (forwarded || !isLoopback(request.socket.remoteAddress)) throw new InsecureTransport();
}
