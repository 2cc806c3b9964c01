import type { FastifyInstance } from 'fastify';
import { DRAIN_SECONDS } from '../../protocol/limits.ts';

const SWEEP_MILLISECONDS = 50;

/**
 * When the server closes, lets the requests that have begun finish, for `DRAIN_SECONDS` at most, and closes each connection
 * as soon as nothing runs on it: a client that keeps it open would hold up the end.
 */
export function drainOnClose(app: FastifyInstance): void {
  app.addHook('preClose', (done) => {
    const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MILLISECONDS).unref();
    const impatient = setTimeout(() => app.server.closeAllConnections(), DRAIN_SECONDS * 1000).unref();
    app.server.once('close', () => {
      clearInterval(sweep);
      clearTimeout(impatient);
    });
    done();
  });
}
