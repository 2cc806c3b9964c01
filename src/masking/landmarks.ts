import { endsInDigits, isEscapedBlockEnd, LEAST_DIGITS } from './block-lines.ts';
import { looksLikeDump } from './dump-lines.ts';
import { afterEscape, type EscapeSieve, mayBeOfSecret } from './escape-sieve.ts';
import { ESCAPE, INTRODUCERS, LINE_FEED, NOWHERE, RETURN } from './signs.ts';

/** Places in a text that need a look: where an escape may begin, where a line of a block ends, and where lines of dumps begin. */
export interface Landmarks {
  /** Starts anew, in another text, of which `unread` bytes were read; `before` stood before it. */
  begin(text: Buffer, before: Buffer, unread: number): void;
  /**
   * The first escape or end of a block's line at or after `from`, which never goes back in one text; or `NOWHERE`. Before `until` none of
   * the escapes that are surely of no secret, as most are.
   */
  next(from: number, until: number): number;
  /** The beginnings of lines that look like those of a dump, as far as `next` came. */
  readonly dumpLines: readonly number[];
}

/**
 * All of them in one expression, as compiled expressions pass over text several times as fast as a loop here does. Each match is one sign
 * long: its end tells where it is. The digits of a block are written out: a count would be a loop for each line.
 */
const DIGIT = '[A-Za-z0-9+/_-]';
const SOURCE = [
  String.raw`\\`,
  '%(?=[0-9a-fA-F]{2}|u)',
  '&(?=[#a-zA-Z0-9]{2,10};)',
  String.raw`\x1b(?=\[)`,
  String.raw`\n(?:(?=0[0-9a-fA-F]{3}(?:[0-9a-fA-F]{2}|[: ])| +(?:0x|-?[0-9a-f]{1,20}[ \r\n,])| (?: (?:[ \\][!-~]|[a-z]{2})|[0-3][0-7]{2}) [ 0-3])|(?<=${DIGIT.repeat(LEAST_DIGITS)}\r?\n))`,
].join('|');

/** Where escapes are as dense as this, looking at each byte costs less than beginning a search. */
const DENSE_BYTES = 40;

/** Nothing that the expression looks for is longer; so near to the end of a text it may be cut short. */
const TAIL_BYTES = 24;

export function createLandmarks(sieve: EscapeSieve): Landmarks {
  const expression = new RegExp(SOURCE, 'g');
  let text: Buffer = Buffer.alloc(0);
  let before = text;
  let latin1 = '';
  let dumpLines: number[] = [];
  let last = 0;
  let dense = false;
  /** From here to there each byte is looked at. */
  let head = 0;
  let tail = 0;

  /** The first in a stretch, byte by byte; the end of it when there is none. */
  function look(from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const kind = LOOKED_AT[text[at] as number] as number;
      if (kind === SIGN) return at;
      if (kind === LINE && isBlockEnd(at)) return at;
    }
    return to;
  }

  /** Also notes the beginning of a dump's line. */
  function isBlockEnd(at: number): boolean {
    if (text[at] === LINE_FEED) {
      if (looksLikeDump(text, at + 1)) dumpLines.push(at + 1);
      return text[at - 1] !== RETURN && endsInDigits(text, before, at);
    }
    return (at + 1 === text.length || text[at + 1] === LINE_FEED) && endsInDigits(text, before, at);
  }

  /** The first in a stretch whose end is not near. */
  function search(from: number, to: number): number {
    expression.lastIndex = from;
    while (expression.test(latin1)) {
      const at = expression.lastIndex - 1;
      if (at >= to) break;
      if (text[at] !== LINE_FEED) return at;
      if (looksLikeDump(text, at + 1)) dumpLines.push(at + 1);
      const end = text[at - 1] === RETURN ? at - 1 : at;
      if (end >= from && endsInDigits(text, before, end)) return end;
    }
    return to;
  }

  /** The first at or after `from`, or the end of the text. */
  function find(from: number): number {
    let at = from;
    if (at < head) {
      at = look(at, head);
      if (at < head) return at;
    }
    if (dense && at < tail) {
      const end = Math.min(tail, at + DENSE_BYTES);
      at = look(at, end);
      if (at < end) return at;
    }
    if (at < tail) at = search(at, tail);
    return at < tail ? at : look(at, text.length);
  }

  return {
    begin(newText, newBefore, unread) {
      text = newText;
      before = newBefore;
      latin1 = newText.toString('latin1');
      dumpLines = [];
      last = unread - DENSE_BYTES;
      // A line end there has digits before that the expression does not see.
      head = unread < LEAST_DIGITS ? Math.min(LEAST_DIGITS, text.length) : unread;
      tail = Math.max(head, text.length - TAIL_BYTES);
    },
    next(from, until) {
      for (let start = from; ; ) {
        const at = find(start);
        if (at === text.length) return NOWHERE;
        dense = at - last < DENSE_BYTES;
        last = at;
        if (at >= until || LOOKED_AT[text[at] as number] === LINE || mayBeOfSecret(sieve, text, at)) return at;
        if (isEscapedBlockEnd(text, before, at)) return at;
        start = afterEscape(sieve, text, at);
      }
    },
    get dumpLines() {
      return dumpLines;
    },
  };
}

const LOOKED_AT = new Uint8Array(256);
const SIGN = 1;
const LINE = 2;
for (const sign of [...INTRODUCERS, ESCAPE]) LOOKED_AT[sign] = SIGN;
LOOKED_AT[LINE_FEED] = LINE;
LOOKED_AT[RETURN] = LINE;
