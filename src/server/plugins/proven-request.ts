import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProveAnswer, ProvenRequest } from '../../identity/pilot-sessions.ts';
import { ANSWER_HEADER } from '../../protocol/answer-proof.ts';
import { digestCheck } from '../../protocol/digest-check.ts';
import { Unauthenticated } from '../../protocol/errors.ts';
import { digestOf } from '../../protocol/request-proof.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set when the caller proved that the request is its own. */
    proven: ProvenRequest | null;
    /** Set when the answer is to be proven. */
    proveAnswer: ProveAnswer | null;
    /** True until the body of a proven request, which is read whole, was compared with its proof: {@link holdToProof}. */
    isBodyUnproven: boolean;
  }
}

/**
 * Holds a proven request to its proof, and proves the answer: nothing of a body that is not the proof's gets to its end, any
 * reader's, and every answer, refusals included, carries the server's own proof, but that to a call whose body could not be compared.
 */
export function keepProofs(app: FastifyInstance): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { proven, method, headers } = request;
    if (!proven) return done(null, payload);
    if (method === 'GET' || !hasBody(headers)) {
      return done(proven.bodyDigest === digestOf('') ? null : changed(request), payload);
    }
    if (isReadWhole(request)) {
      request.isBodyUnproven = true;
      return done(null, payload);
    }
    done(
      null,
      checked(payload, proven.bodyDigest, () => changed(request)),
    );
  });
  // No handler sees the body of a reader that did not ask.
  app.addHook('preValidation', (request, _reply, done) => {
    done(request.isBodyUnproven ? changed(request) : undefined);
  });
  app.addHook('onSend', ({ proveAnswer, isBodyUnproven }, reply, body, done) => {
    // A refusal of a body that was not compared may be about something that was added on the way: the pilot would take it for its own.
    if (proveAnswer && !isBodyUnproven && (typeof body === 'string' || Buffer.isBuffer(body))) {
      reply.header(ANSWER_HEADER, proveAnswer({ status: reply.statusCode, body }));
    }
    done(null, body);
  });
}

/** For the reader of a body that was read whole, before it looks at it. @throws {Unauthenticated} when it is not that of the request's proof */
export function holdToProof(request: FastifyRequest, body: Uint8Array): void {
  if (!request.isBodyUnproven) return;
  if (request.proven?.bodyDigest !== digestOf(body)) throw changed(request);
  request.isBodyUnproven = false;
}

/** A call's JSON is; a file is checked as it passes. */
function isReadWhole({ routeOptions: { config } }: FastifyRequest): boolean {
  return config.call !== undefined && config.call.body === undefined;
}

function hasBody(headers: FastifyRequest['headers']): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}

function checked(payload: Readable, digest: string, refusal: () => Error): Readable {
  const check = digestCheck(digest, refusal);
  payload.on('error', (error) => check.destroy(error));
  return payload.pipe(check);
}

/** The request was not the pilot's after all: without a proof on its answer, the pilot does not take this for its own refusal. */
function changed(request: FastifyRequest): Unauthenticated {
  request.proveAnswer = null;
  return new Unauthenticated('the proof on this request is not good: the body was changed');
}
