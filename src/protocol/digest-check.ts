import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';

/**
 * Passes bytes on, and fails in place of their end when they are not those of the digest.
 *
 * @param sha256 base64url without padding, as `digestOf` writes it
 * @param otherwise makes the error
 */
export function digestCheck(sha256: string, otherwise: () => Error): Transform {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      done(hash.digest('base64url') === sha256 ? null : otherwise());
    },
  });
}
