import { InvalidArgument } from '../../protocol/errors.ts';
import { MAX_JSON_DEPTH, MAX_JSON_ELEMENTS } from '../../protocol/limits.ts';

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Refuses JSON that is cheap to send and dear to parse, from its bytes alone: what is nested deeply, and what has very many elements.
 * Strings are passed over as they are, so that a large value costs nothing. The parser says whether the rest is JSON at all.
 *
 * @throws {InvalidArgument}
 */
export function checkJsonShape(body: Uint8Array): void {
  let depth = 0;
  let elements = 0;
  for (let at = 0; at < body.length; at++) {
    switch (body[at]) {
      case QUOTE:
        at = endOfString(body, at);
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (++depth > MAX_JSON_DEPTH) {
          throw new InvalidArgument(`the body has more than ${MAX_JSON_DEPTH} objects and lists inside each other`);
        }
        elements += 1;
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      case COMMA:
        elements += 1;
        break;
    }
    if (elements > MAX_JSON_ELEMENTS) {
      throw new InvalidArgument(`the body has more than ${MAX_JSON_ELEMENTS} elements`);
    }
  }
}

/** Where the string that begins at `start` ends, or the body when it does not: a quote behind an odd number of backslashes is part of it. */
function endOfString(body: Uint8Array, start: number): number {
  for (let at = start + 1; ; at++) {
    at = body.indexOf(QUOTE, at);
    if (at < 0) return body.length;
    let slashes = 0;
    while (body[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}
