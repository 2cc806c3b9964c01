/**
 * The ways in which the characters at one place of a text may be read, other than as they are: an escape stands for a byte, or for a
 * character of Unicode. One object is used again and again, so that a search makes no garbage.
 */
export interface Readings {
  count: number;
  /** By reading: a byte, or {@link CHARACTER} and a code point, or {@link NOTHING}. */
  values: Int32Array;
  /** By reading: the bytes of the text that it takes. */
  lengths: Int32Array;
  /** More text may make another reading, or a longer one. */
  cutShort: boolean;
  /** The bytes that stood before the text, some of them. */
  before: Buffer;
}

/** Marks a code point among values, to be read as its bytes in UTF-8. */
export const CHARACTER = 0x1000000;
/** A value that stands for no character: a line that was broken. */
export const NOTHING = -1;

const MOST_READINGS = 64;

export function createReadings(): Readings {
  return {
    count: 0,
    values: new Int32Array(MOST_READINGS),
    lengths: new Int32Array(MOST_READINGS),
    cutShort: false,
    before: Buffer.alloc(0),
  };
}

export function addReading(out: Readings, value: number, length: number): void {
  if (out.count === MOST_READINGS) return;
  out.values[out.count] = value;
  out.lengths[out.count] = length;
  out.count += 1;
}

/** A number below 256 that an escape gives is a byte for some programs and a character for others. */
export function addNumber(out: Readings, value: number, length: number): void {
  if (value < 0x100) addReading(out, value, length);
  if (value >= 0x80 && value <= 0x10ffff) addReading(out, CHARACTER | value, length);
}
