import { Transform } from 'node:stream';
import type { WireName } from '../protocol/names.ts';
import { createMaskStream, type MaskStream } from './mask-stream.ts';
import type { NamedSecret } from './patterns.ts';
import { prepareSearch } from './prepared-search.ts';

export type { MaskStream } from './mask-stream.ts';
export type { NamedSecret } from './patterns.ts';

/** Takes the secrets of one job out of what it prints. */
export interface Masker {
  /** A new stream, with a state of its own: one for stdout, one for stderr. */
  stream(): MaskStream;
  /** Secrets that are too short or too common to be masked as they are (`takeApart` finds nothing of them, or lines that are too short). */
  readonly unmaskable: readonly WireName[];
  /** Secrets so large that they are masked as they are, but not in every encoding (`MAX_MASKED_FORMS_BYTES`). */
  readonly partlyMasked: readonly WireName[];
}

/**
 * Prepares to mask `secrets`: once per job, as it takes a moment when they are many.
 *
 * Masked are the value itself, also where it was printed over lines, and those parts of it that `takeApart` chooses; all of them in each
 * spelling of their characters, in base64 and base64url at any alignment, in hex and in dumps. A file is masked as it was sent and by its
 * content. Everything else passes byte for byte.
 */
export function createMasker(secrets: Iterable<NamedSecret>): Masker {
  const { automaton, filter, lined, unmaskable, partlyMasked } = prepareSearch(secrets);
  return { stream: () => createMaskStream(automaton, filter, lined), unmaskable, partlyMasked };
}

/**
 * A new stream of `masker` as a part of a `node:stream` pipeline. The lines of a chunk go on together: in a log with several streams those of
 * another do not come between them.
 */
export function maskTransform(masker: Masker): Transform {
  const stream = masker.stream();
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      done(null, joined(stream.write(chunk)));
    },
    flush(done) {
      done(null, joined(stream.end()));
    },
  });
}

function joined(pieces: readonly Uint8Array[]): Uint8Array | undefined {
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0];
}
