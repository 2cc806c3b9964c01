import type { WireName } from '../protocol/names.ts';
import type { Pattern } from './forms.ts';
import { createTail } from './held-tail.ts';
import { collectPatterns, type NamedSecret } from './patterns.ts';
import { prepareSearch } from './prepared-search.ts';
import { createSearch } from './search.ts';

/** A place in a stream where a masker would hide a secret or a part of one. */
export interface Find {
  /** In bytes from the beginning of the stream. */
  start: number;
  end: number;
  names: WireName[];
}

/** Says where secrets stand, instead of taking them out. */
export interface Finder {
  /** A new stream, with a state of its own. */
  stream(): FindStream;
}

export interface FindStream {
  /** The finds in the next bytes; a secret that they cut short is found with the rest. Not in order where secrets overlap. */
  write(chunk: Uint8Array): Find[];
  end(): Find[];
}

/** Looks for `secrets` with the eyes of the masker: the same parts in the same forms. */
export function createFinder(secrets: Iterable<NamedSecret>): Finder {
  const all = [...secrets];
  const { automaton, filter, lined } = prepareSearch(all);
  const namesOf = createOwners(all);

  function stream(): FindStream {
    const tail = createTail();
    let finds: Find[] = [];
    /** Of the beginning of the held tail in the stream. */
    let offset = 0;
    const search = createSearch(automaton, filter, lined, (start, end, state) => {
      const names = new Set<WireName>();
      for (let each = state; each > 0; each = automaton.fallbackOf(each)) {
        for (const name of namesOf(automaton.patternOf(each))) names.add(name);
      }
      finds.push({ start: offset + start, end: offset + end, names: [...names] });
    });
    const read = (text: Uint8Array, unread: number, ended: boolean): Find[] => {
      finds = [];
      search.read(text, unread, ended);
      return finds;
    };

    return {
      write(chunk) {
        const held = tail.length;
        const text = tail.append(chunk);
        const found = read(text, held, false);
        const open = Math.max(0, search.open());
        tail.drop(open);
        search.shift(open);
        offset += open;
        return found;
      },
      end: () => read(tail.bytes(), tail.length, true),
    };
  }

  return { stream };
}

/** The secrets that have a pattern, found out when one is met, which is seldom. */
function createOwners(secrets: readonly NamedSecret[]): (pattern: Pattern | undefined) => WireName[] {
  const known = new Map<Pattern, WireName[]>();
  let patternsOfEach: { name: WireName; patterns: ReadonlySet<Pattern> }[] | undefined;
  return (pattern) => {
    if (pattern === undefined) return [];
    let names = known.get(pattern);
    if (names === undefined) {
      patternsOfEach ??= secrets.map((secret) => {
        const { patterns, inDumps } = collectPatterns([secret]);
        return { name: secret.name, patterns: new Set([...patterns, ...inDumps]) };
      });
      names = patternsOfEach.filter(({ patterns }) => patterns.has(pattern)).map(({ name }) => name);
      known.set(pattern, names);
    }
    return names;
  };
}
