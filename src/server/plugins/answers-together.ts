import type { DoneFuncWithErrOrRes, FastifyInstance } from 'fastify';

/** Answers that are ready wait for each other up to so many bytes: they may hold secrets, which are wiped once they were sent. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * Sends the answers that become ready in one turn of the event loop together, at its end: behind the requests that had arrived.
 * Sending is most of a small answer's cost, and one that wakes its reader costs several times one whose reader is awake, as it is
 * behind the first. An answer that is alone waits for nothing but the end of the turn; a stream goes at once.
 */
export function sendAnswersTogether(app: FastifyInstance): void {
  let waiting: { payload: unknown; done: DoneFuncWithErrOrRes }[] = [];
  let bytes = 0;

  function sendAll(): void {
    const ready = waiting;
    waiting = [];
    bytes = 0;
    for (const { payload, done } of ready) {
      try {
        done(null, payload);
      } catch (error) {
        // A header that cannot be sent, say: the trouble of this answer alone.
        done(error as Error);
      }
    }
  }

  app.addHook('onSend', (_request, _reply, payload, done) => {
    const length = lengthOf(payload);
    if (length === undefined) return done(null, payload);
    if (waiting.length === 0) setImmediate(sendAll);
    waiting.push({ payload, done });
    bytes += length;
    if (bytes >= MAX_WAITING_BYTES) sendAll();
  });
}

/** Roughly, in bytes; undefined for what is not whole in memory. */
function lengthOf(payload: unknown): number | undefined {
  if (payload === undefined || payload === null) return 0;
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : undefined;
}
