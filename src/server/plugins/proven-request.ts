import { createHash } from 'node:crypto';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProvenRequest } from '../../identity/pilot-sessions.ts';
import { ANSWER_HEADER } from '../../protocol/answer-proof.ts';
import { Unauthenticated } from '../../protocol/errors.ts';
import { digestOf } from '../../protocol/request-proof.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set when the caller proved that the request is its own. */
    proven: ProvenRequest | null;
  }
}

/**
 * Holds a proven request to its proof, and proves the answer: nothing of a body that is not the proof's gets to its end, whoever
 * reads it, and every answer, refusals included, carries the server's own proof.
 */
export function keepProofs(app: FastifyInstance): void {
  app.addHook('preParsing', ({ proven, raw, method }, _reply, payload, done) => {
    if (!proven) return done(null, payload);
    if (method !== 'GET' && hasBody(raw.headers)) return done(null, payload.pipe(checking(proven.bodyDigest)));
    done(proven.bodyDigest === digestOf('') ? null : changed(), payload);
  });
  app.addHook('onSend', ({ proven }, reply, body, done) => {
    if (proven && typeof body === 'string') {
      reply.header(ANSWER_HEADER, proven.proveAnswer({ status: reply.statusCode, body }));
    }
    done(null, body);
  });
}

function hasBody(headers: FastifyRequest['raw']['headers']): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}

/** Passes a body on, and fails in place of its end when it is another one. */
function checking(digest: string): Readable & NodeJS.WritableStream {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      done(hash.digest('base64url') === digest ? null : changed());
    },
  });
}

function changed(): Unauthenticated {
  return new Unauthenticated('the proof on this request is not good: the body was changed');
}
