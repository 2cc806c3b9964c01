import { INTRODUCERS } from './spellings.ts';

/** The places in a text where an escape may begin, in order. */
export interface Introducers {
  /** Starts anew, in another text. */
  begin(text: Buffer): void;
  /** The first place at or after `from`, which never goes back in one text; `Infinity` when there is none. */
  next(from: number): number;
}

/** Each sign is looked for by itself: where they are few, that is far quicker than looking at each byte. */
export function createIntroducers(): Introducers {
  let buffer: Buffer = Buffer.alloc(0);
  const places = new Float64Array(INTRODUCERS.length);
  return {
    begin(text) {
      buffer = text;
      places.fill(-1);
    },
    next(from) {
      let least = Number.POSITIVE_INFINITY;
      for (let index = 0; index < INTRODUCERS.length; index++) {
        let place = places[index] as number;
        if (place < from) {
          const found = buffer.indexOf(INTRODUCERS[index] as number, from);
          place = found < 0 ? Number.POSITIVE_INFINITY : found;
          places[index] = place;
        }
        if (place < least) least = place;
      }
      return least;
    },
  };
}
