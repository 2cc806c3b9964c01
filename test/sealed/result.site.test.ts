import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeResult, type Result, readResult } from '../../src/sealed/result.ts';
import { signed } from '../../src/sealed/signed.ts';
import { siteNumber } from './samples.ts';

const site = await siteNumber(1);
const other = await siteNumber(2);
const signers = [site.read.resultSigner];
const refused = (code: string) => ({ name: 'SealedRefusal', code });
const result: Result = {
  nonce: 'AAECAwQFBgcICQoLDA0ODw',
  serial: 2,
  attempt: 1,
  kind: 'live',
  name: 'log.tgz',
  seq: 4,
  last: false,
  sha256: 'ab'.repeat(32),
};
const word = makeResult(site.node.resultSigner, result);

test('a result is read by whoever knows the nodes that sign', () => {
  assert.deepEqual(readResult(word, [other.read.resultSigner, ...signers], { nonce: result.nonce, seq: 4 }), result);
});

test('a result that is of something else, or by somebody else, is refused', () => {
  assert.throws(() => readResult(word, [other.read.resultSigner], {}), refused('result-forged'));
  assert.throws(() => readResult(word, [], {}), refused('result-forged'));
  for (const [field, value] of Object.entries({
    nonce: 'x',
    serial: 1,
    attempt: 2,
    kind: 'log',
    name: 'o',
    seq: 3,
    last: true,
    sha256: '',
  })) {
    assert.throws(() => readResult(word, signers, { [field]: value }), refused('result-other'), field);
  }
});

test('any text is refused, and none throws anything else', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      for (const given of [text, `${word}${text}!`, signed(site.node.resultSigner, 'result', Buffer.from(text))]) {
        assert.throws(() => readResult(given, signers, {}), { name: 'SealedRefusal' });
      }
    }),
  );
});
