import { type FastifyInstance, fastify } from 'fastify';
import { BODY_SECONDS, MAX_HEADER_BYTES } from '../protocol/limits.ts';
import { setAnswerHeaders } from './plugins/answer-headers.ts';
import { drainOnClose } from './plugins/drain.ts';
import { answerBadHttp } from './plugins/unrouted.ts';
import { type Watched, watchRoutes } from './routes/watch.ts';

/** A server for those who watch alone, in plain http on an address of its own: not yet listening. */
export function createWatchServer(watched: Watched): FastifyInstance {
  const app = fastify({
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: BODY_SECONDS * 1000 },
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    clientErrorHandler: answerBadHttp(),
  });
  drainOnClose(app);
  setAnswerHeaders(app, { isTlsOurs: false });
  watchRoutes(app, watched);
  return app;
}
