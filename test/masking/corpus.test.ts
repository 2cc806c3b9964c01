import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMasker } from '../../src/masking/masker.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { TRANSFORMATION_GAPS } from '../compat/transformation-gaps.ts';
import { bytesOf, type CorpusCase, readCorpus } from './corpus.ts';
import { maskingPage } from './masking-page.ts';

const corpus = readCorpus();

for (const [producer, cases] of Map.groupBy(corpus, (each) => each.producer)) {
  test(`what is left of a secret is what the corpus has: ${producer}`, () => {
    for (const each of cases) {
      const printed = bytesOf(each, 'printed');
      const left = bytesOf(each, 'left').toString('latin1');
      assert.equal(masked(each, [printed]), left, each.secret);
      assert.equal(masked(each, piecesOf(printed, 7)), left, `${each.secret}, in pieces`);
    }
  });
}

test('the page about masking is the one that is made from the corpus: npm run corpus -- --page', () => {
  assert.equal(
    readFileSync(join(import.meta.dirname, '../../docs/masking.md'), 'utf8'),
    maskingPage(corpus, TRANSFORMATION_GAPS),
  );
});

function masked({ secret }: CorpusCase, chunks: Uint8Array[]): string {
  const stream = createMasker([{ name: wireName('S'), value: new Plaintext(secret) }]).stream();
  return Buffer.concat([...chunks.flatMap((chunk) => stream.write(chunk)), ...stream.end()]).toString('latin1');
}

function piecesOf(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}
