import type { FastifyInstance } from 'fastify';

/**
 * Tells caches and browsers, in every answer, not to keep it, since it may be a secret that was asked for with GET
 * (RFC 9111, section 5.2.2.5), and not to guess from the bytes of a user's file that it is a script or a page of this site.
 *
 * @param options `isTlsOurs`: nothing ends TLS on the way, so that browsers may be told never to come without it (RFC 6797)
 */
export function setAnswerHeaders(app: FastifyInstance, { isTlsOurs }: { isTlsOurs: boolean }): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    if (isTlsOurs) reply.header('strict-transport-security', 'max-age=31536000');
    done();
  });
}
