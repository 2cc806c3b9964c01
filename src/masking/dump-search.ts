import type { Automaton } from './automaton.ts';
import { type DumpLine, MOST_DUMP_COLUMNS, mayBecomeDump, type Reading, readDumpLine } from './dump-lines.ts';
import { LINE_FEED, NOWHERE } from './signs.ts';

/** Finds patterns in the bytes that dumps show (`dump-lines.ts`), over the lines of one dump. */
export interface DumpSearch {
  /** @param beginnings of lines that look like those of dumps, of all that is new in `text` */
  read(text: Buffer, beginnings: readonly number[], ended: boolean): void;
  /** From here on nothing may be shown yet, or `NOWHERE`. */
  open(): number;
  /** The text is read again from here on. */
  needed(): number;
  shift(by: number): void;
  reset(): void;
}

/** So many bytes of a dump are of a secret by chance only where secrets are very many: what is shown of it before is no more. */
const LEAST_HELD_BYTES = 3;

/** One dump in one reading, as far as a pattern may have begun in it. */
interface Track {
  /** Of the automaton. */
  state: number;
  /** By byte that the dump showed so far: where it stands, and in the other column (-1: in none), and on which line. */
  starts: number[];
  ends: number[];
  others: number[];
  lines: number[];
}

/** @param found is told of each stretch of a line that shows bytes of a match */
export function createDumpSearch(
  { stepOver, depths, longestEnding }: Automaton,
  found: (start: number, end: number, state: number) => void,
): DumpSearch {
  let tracks = new Map<Reading, Track>();
  let line = 0;
  /** A line begins there that is not read yet; -1: the next one is to be looked for, from `searched` on. */
  let next = 0;
  let searched = 0;
  let open: number = NOWHERE;

  function forget(): void {
    if (tracks.size > 0) tracks = new Map();
  }

  function mark({ state, starts, ends, others, lines }: Track, length: number): void {
    const last = starts.length;
    const tell = (start: number, end: number) => {
      if (end > 0) found(start, end, state);
    };
    for (let first = last - length; first < last; ) {
      let after = first + 1;
      while (after < last && lines[after] === lines[first]) after++;
      tell(Math.min(...starts.slice(first, after)), Math.max(...ends.slice(first, after)));
      const other = others[first] as number;
      if (other >= 0) tell(other, (others[after - 1] as number) + 1);
      first = after;
    }
  }

  /** @returns true when it is of a dump */
  function readLine(text: Buffer, from: number, to: number): boolean {
    if (to - from > MOST_DUMP_COLUMNS) return false;
    const dumps = readDumpLine(text.toString('latin1', from, to), tracks.size > 0);
    line += 1;
    const before = tracks;
    tracks = new Map();
    for (const dump of dumps) {
      const track = before.get(dump.as) ?? { state: 0, starts: [], ends: [], others: [], lines: [] };
      readBytes(track, dump, from);
      if (depths[track.state] !== 0) tracks.set(dump.as, track);
    }
    return dumps.length > 0;
  }

  function readBytes(track: Track, dump: DumpLine, from: number): void {
    for (const [index, byte] of dump.bytes.entries()) {
      track.state = stepOver(track.state, byte);
      track.starts.push(from + (dump.starts[index] as number));
      track.ends.push(from + (dump.ends[index] as number));
      track.others.push(dump.textColumn < 0 ? -1 : from + dump.textColumn + index);
      track.lines.push(line);
      const length = longestEnding[track.state] as number;
      if (length > 0) mark(track, length);
    }
  }

  return {
    read(text, beginnings, ended) {
      let turn = 0;
      open = NOWHERE;
      for (;;) {
        if (next < 0) {
          while (turn < beginnings.length && (beginnings[turn] as number) <= searched) turn++;
          next = beginnings[turn] ?? -1;
          if (next < 0) {
            searched = text.length;
            if (text.at(-1) === LINE_FEED) next = text.length;
            break;
          }
        }
        const lineFeed = text.indexOf(LINE_FEED, next);
        if (lineFeed < 0 && !ended) {
          if (mayBecomeDump(text.toString('latin1', next, Math.min(text.length, next + MOST_DUMP_COLUMNS)))) {
            open = next;
            break;
          }
          if (next === text.length) break;
          forget();
          next = -1;
          searched = text.length;
          break;
        }
        const to = lineFeed < 0 ? text.length : lineFeed;
        if (to > next && readLine(text, next, to)) next = lineFeed < 0 ? -1 : to + 1;
        else {
          forget();
          next = -1;
        }
        searched = to;
        if (lineFeed < 0) break;
      }
      for (const { state, starts } of tracks.values()) {
        const depth = depths[state] as number;
        if (depth >= LEAST_HELD_BYTES) open = Math.min(open, starts[starts.length - depth] as number);
      }
    },
    open: () => open,
    needed: () => (next < 0 ? NOWHERE : next),
    shift(by) {
      if (next >= 0) next -= by;
      searched = Math.max(0, searched - by);
      for (const track of tracks.values()) {
        for (const places of [track.starts, track.ends])
          for (let at = 0; at < places.length; at++) places[at] = (places[at] as number) - by;
        track.others = track.others.map((place) => (place < 0 ? -1 : Math.max(-1, place - by)));
      }
    },
    reset() {
      forget();
      next = 0;
      searched = 0;
    },
  };
}
