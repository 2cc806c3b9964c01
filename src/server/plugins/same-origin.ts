import type { FastifyRequest } from 'fastify';
import { Forbidden } from '../../protocol/errors.ts';

/**
 * Refuses a form that another site's page sends through somebody's browser (cross-site request forgery): browsers say where a
 * form comes from. What says nothing is no browser, and so carries no cookies that somebody else could use.
 *
 * @param origin this server's own
 * @throws {Forbidden}
 */
export function requireSameOrigin({ headers }: FastifyRequest, origin: string): void {
  const site = headers['sec-fetch-site'];
  const from = headers.origin;
  if ((site === undefined || site === 'same-origin') && (from === undefined || from === origin)) return;
  throw new Forbidden('this form was sent from a page of another site');
}
