import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createAutomaton } from '../../src/masking/automaton.ts';
import { createBlockFilter } from '../../src/masking/block-filter.ts';
import type { Pattern } from '../../src/masking/forms.ts';
import { linedValuesOf } from '../../src/masking/lined-values.ts';
import { createMaskStream, type MaskStream } from '../../src/masking/mask-stream.ts';
import { processorTime } from '../took.ts';

/** Few letters, so that patterns overlap each other, themselves, and what only begins like one. */
const letters = (minLength: number, maxLength: number) =>
  fc.array(fc.constantFrom('a', 'b', 'ab', 'aaaa'), { minLength, maxLength }).map((parts) => parts.join(''));
const ESCAPE = '\u001b';
/** Without what begins an escape, a line of a dump, or ends a line, which have tests of their own. */
const plain = (minLength: number, maxLength: number) =>
  fc
    .string({ unit: 'binary-ascii', minLength, maxLength })
    .map((text) => text.replace(/[\\%&+'"\r\n 0]/g, 'x').replaceAll(ESCAPE, 'x'));
/** Patterns made of other patterns. */
const nested = fc
  .array(letters(6, 7), { minLength: 1, maxLength: 3 })
  .chain((words) =>
    fc
      .array(fc.array(fc.constantFrom('c', ...words), { minLength: 6, maxLength: 9 }), { maxLength: 4 })
      .map((longer) => [...words, ...longer.map((parts) => parts.join(''))]),
  );
const patternSets = fc.oneof(
  nested,
  fc.array(letters(6, 12), { maxLength: 12 }),
  fc.array(letters(12, 40), { maxLength: 12 }),
  fc.array(plain(6, 40), { maxLength: 12 }),
);
/** A text made of patterns, of cut patterns, and of other things; and where it is cut into chunks. */
const cases = patternSets.chain((patterns) =>
  fc.record({
    patterns: fc.constant(patterns as Pattern[]),
    text: fc
      .array(
        fc.oneof(
          letters(0, 9),
          plain(0, 20),
          fc.tuple(fc.constantFrom('', ...patterns), fc.nat(70)).map(([pattern, length]) => pattern.slice(0, length)),
          fc.constantFrom(' \n', ...patterns),
        ),
        { maxLength: 20 },
      )
      .map((parts) => Buffer.from(parts.join(''), 'latin1')),
    chunkSizes: fc.array(fc.nat(25), { minLength: 1, maxLength: 5 }),
  }),
);

test('any text in any chunks is masked as a plain search for each pattern would', () => {
  fc.assert(
    fc.property(cases, ({ patterns, text, chunkSizes }) => {
      const stream = streamOf(patterns);
      const shown = [...chunksOf(text, chunkSizes)].map((chunk) => Buffer.concat(stream.write(chunk)));
      assert.equal(Buffer.concat([...shown, ...stream.end()]).toString('latin1'), plainlyMasked(patterns, text));
    }),
    { numRuns: 3000 },
  );
});

test('what is read again after a long match that came to nothing is not masked twice', () => {
  const beginning = 'abcdefXabcdefY';
  const patterns = ['abcdef', `${beginning}YYYY`, `${'q'.repeat(30)}${beginning}z`] as Pattern[];
  const text = `${'q'.repeat(30)}${beginning}Y and so on`;
  assert.equal(Buffer.concat(streamOf(patterns).write(Buffer.from(text))).toString(), text.replaceAll('abcdef', '***'));
});

test('no more is held back than the longest tail that begins a pattern', () => {
  fc.assert(
    fc.property(cases, ({ patterns, text }) => {
      const shown = Buffer.concat(streamOf(patterns).write(text));
      const tail = longestBeginning(patterns, text);
      const settled = plainlyMasked(patterns, text, text.length - tail);
      assert.equal(shown.toString('latin1').startsWith(settled), true);
    }),
    { numRuns: 1000 },
  );
});

test('a chunk may be overwritten as soon as what was shown of it is taken', () => {
  const stream = streamOf(['secret-one' as Pattern]);
  const chunk = Buffer.from('text secre');
  const shown = Buffer.concat(stream.write(chunk)).toString();
  chunk.fill('#');
  assert.equal(shown + Buffer.concat(stream.end()), 'text secre');
});

const NO_VALUES = linedValuesOf({ texts: new Set(), overLines: [] });
const MILLION = 1_000_000;
const worstCases: Record<string, { patterns: string[]; text: string }> = {
  'a long run of the byte that a long pattern repeats': {
    patterns: [`${'a'.repeat(50_000)}b`],
    text: 'a'.repeat(MILLION),
  },
  'runs that are a little too short': {
    patterns: [`${'a'.repeat(20_000)}`],
    text: `${'a'.repeat(19_999)}b`.repeat(50),
  },
  'a thousand patterns with one long end': {
    patterns: Array.from({ length: 1000 }, (_, index) => `${index}${'xyz'.repeat(300)}`),
    text: 'xyz'.repeat(MILLION / 3),
  },
  'a thousand patterns with one long beginning': {
    patterns: Array.from({ length: 1000 }, (_, index) => `${'xyz'.repeat(300)}${index}`),
    text: 'xyz'.repeat(MILLION / 3),
  },
  'a thousand patterns that are beginnings of each other': {
    patterns: Array.from({ length: 1000 }, (_, index) => `${'ab'.repeat(3 + index)}c`),
    text: 'ab'.repeat(MILLION / 2),
  },
};

for (const [name, { patterns, text }] of Object.entries(worstCases)) {
  test(`each byte is read a bounded number of times: ${name}`, () => {
    const automaton = createAutomaton(patterns as Pattern[]);
    let steps = 0;
    const counting = {
      ...automaton,
      step: (state: number, byte: number) => {
        steps++;
        return automaton.step(state, byte);
      },
    };
    const stream = createMaskStream(counting, createBlockFilter(patterns as Pattern[]), NO_VALUES);
    for (const chunk of chunksOf(Buffer.from(text), [65_536])) stream.write(chunk);
    assert.ok(steps <= 2 * text.length + 65_536, `${steps / text.length} steps per byte`);
  });
}

test('the time per byte does not grow with the length of a pattern that the text keeps almost matching', () => {
  const milliseconds = (length: number): number => {
    const stream = streamOf([`${'a'.repeat(length)}b` as Pattern]);
    const text = Buffer.from(`${'a'.repeat(length - 1)}c`.repeat(MILLION / length));
    const time = processorTime();
    stream.write(text);
    return time.milliseconds();
  };
  const best = (length: number): number => Math.min(...[1, 2, 3].map(() => milliseconds(length)));
  // A search that begins anew at each byte would take a thousand times as long.
  assert.ok(best(100_000) < 30 * best(100));
});

function streamOf(patterns: Pattern[]): MaskStream {
  return createMaskStream(createAutomaton(patterns), createBlockFilter(patterns), NO_VALUES);
}

function* chunksOf(text: Uint8Array, sizes: number[]): Iterable<Uint8Array> {
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = 1 + (sizes[turn % sizes.length] ?? 0);
    yield text.subarray(at, at + size);
    at += size;
  }
}

/** The reference: marks every occurrence of every pattern, then writes each unbroken marked run as one mask. */
function plainlyMasked(patterns: Pattern[], bytes: Uint8Array, end = bytes.length): string {
  const text = Buffer.from(bytes).toString('latin1');
  const marked = new Set<number>();
  for (const pattern of patterns) {
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1)) {
      for (let offset = 0; offset < pattern.length; offset++) marked.add(at + offset);
    }
  }
  let masked = '';
  for (let at = 0; at < end; at++) {
    if (!marked.has(at)) masked += text[at];
    else if (at === 0 || !marked.has(at - 1)) masked += '***';
  }
  return masked;
}

/** Length of the longest end of `bytes` that a pattern begins with. */
function longestBeginning(patterns: Pattern[], bytes: Uint8Array): number {
  const text = Buffer.from(bytes).toString('latin1');
  for (let length = text.length; length > 0; length--) {
    if (patterns.some((pattern) => pattern.startsWith(text.slice(text.length - length)))) return length;
  }
  return 0;
}
