import { Transform } from 'node:stream';
import type { WireName } from '../protocol/names.ts';
import { createAutomaton } from './automaton.ts';
import { createBlockFilter } from './block-filter.ts';
import { createMaskStream, type MaskStream } from './mask-stream.ts';
import { collectPatterns, type NamedSecret } from './patterns.ts';

export type { MaskStream } from './mask-stream.ts';
export type { NamedSecret } from './patterns.ts';

/** Takes the secrets of one job out of what it prints. */
export interface Masker {
  /** A new stream, with a state of its own: one for stdout, one for stderr. */
  stream(): MaskStream;
  /** Secrets that are too short or too common to be masked as they are (`takeApart` finds nothing of them that stands in one line). */
  readonly unmaskable: readonly WireName[];
  /** Secrets so large that they are masked as they are, but not in every encoding (`MAX_MASKED_FORMS_BYTES`). */
  readonly partlyMasked: readonly WireName[];
}

/**
 * Prepares to mask `secrets`: once per job, as it takes a moment when they are many.
 *
 * Masked are the value itself, each line of it and each string inside a value that is a JSON document, where these have at
 * least `MIN_MASKED_CHARS` characters and are not such as `true` or `{`; all of them also JSON-escaped, quoted by Python or a shell, URL-encoded, in
 * base64 and base64url at any alignment, and in hex. A file is masked as it was sent and by its content. Everything else
 * passes byte for byte.
 */
export function createMasker(secrets: Iterable<NamedSecret>): Masker {
  const { patterns, unmaskable, partlyMasked } = collectPatterns(secrets);
  const automaton = createAutomaton(patterns);
  const filter = createBlockFilter(patterns);
  return { stream: () => createMaskStream(automaton, filter), unmaskable, partlyMasked };
}

/** A new stream of `masker` as a part of a `node:stream` pipeline. */
export function maskTransform(masker: Masker): Transform {
  const stream = masker.stream();
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      for (const piece of stream.write(chunk)) this.push(piece);
      done();
    },
    flush(done) {
      for (const piece of stream.end()) this.push(piece);
      done();
    },
  });
}
