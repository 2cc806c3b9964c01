import { type Automaton, createAutomaton } from './automaton.ts';
import { type BlockFilter, createBlockFilter } from './block-filter.ts';
import { type LinedValues, linedValuesOf } from './lined-values.ts';
import { collectPatterns, type NamedSecret, type PatternSet } from './patterns.ts';

/** All that a search for some secrets goes by, for any number of streams. */
export interface PreparedSearch extends Pick<PatternSet, 'unmaskable' | 'partlyMasked'> {
  automaton: Automaton;
  filter: BlockFilter;
  lined: LinedValues;
}

/** Takes a moment when they are many. */
export function prepareSearch(secrets: Iterable<NamedSecret>): PreparedSearch {
  const found = collectPatterns(secrets);
  const lined = linedValuesOf(found);
  const searched = [...found.patterns, ...lined.seen];
  return {
    automaton: createAutomaton([...searched, ...found.inDumps]),
    filter: createBlockFilter(searched),
    lined,
    unmaskable: found.unmaskable,
    partlyMasked: found.partlyMasked,
  };
}
