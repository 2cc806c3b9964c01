import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toBase64url } from '../../src/protocol/base64url.ts';
import { MAX_SIGNED_CHARS } from '../../src/protocol/limits.ts';
import { signed } from '../../src/sealed/signed.ts';
import { parseSiteId, siteIdOf } from '../../src/sealed/site-id.ts';
import { checkSiteRecord, makeSiteRecord, readSiteRecord } from '../../src/sealed/site-record.ts';
import { NOW, recordOf, siteNumber } from './samples.ts';

const site = await siteNumber(1);
const other = await siteNumber(2);
const known = { queue: 'GRID_A', id: site.read.identity };
const refused = (code: string) => ({ name: 'SealedRefusal', code });
const record = (change: Parameters<typeof recordOf>[2]) =>
  makeSiteRecord(site.identity, recordOf(site.identity, site.node, change));

test("a site's record is read by whoever knows the site", () => {
  assert.deepEqual(checkSiteRecord(site.record, known, NOW), recordOf(site.identity, site.node));
});

test('a site ID is read with hyphens, spaces and capitals, and not with a mistake in it', () => {
  const id = siteIdOf(site.identity.publicKey);
  const typed = ` ${id.toUpperCase().replaceAll(/(.{7})/g, '$1-')}`;
  assert.equal(parseSiteId(typed), id);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 55 }),
      fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'),
      (at, letter) => {
        fc.pre(id[at] !== letter);
        assert.throws(() => parseSiteId(id.slice(0, at) + letter + id.slice(at + 1)), /not a site ID/);
      },
    ),
  );
});

test('a record that is not what it should be is refused with the reason', () => {
  const forged = signed(other.identity, 'site', Buffer.from(JSON.stringify(recordOf(site.identity, site.node))));
  const later = record({ serial: 2 });
  const cases: [string, string, () => unknown][] = [
    ['another identity', 'site-key-changed', () => checkSiteRecord(other.record, known, NOW)],
    ['signed by another', 'site-record-forged', () => checkSiteRecord(forged, known, NOW)],
    ['another queue', 'site-record-other', () => checkSiteRecord(record({ queue: 'GRID_B' }), known, NOW)],
    ['ended', 'site-record-ended', () => checkSiteRecord(site.record, known, NOW + 40 * 24 * 3600)],
    ['not begun', 'site-record-ended', () => checkSiteRecord(site.record, known, NOW - 7200)],
    ['an older serial', 'site-record-older', () => checkSiteRecord(site.record, { ...known, record: later }, NOW)],
    [
      'the same serial, other bytes',
      'site-record-forked',
      () => checkSiteRecord(record({ from: NOW - 1 }), { ...known, record: site.record }, NOW),
    ],
    [
      'an X25519 recipient',
      'site-record-format',
      () => readSiteRecord(raw({ recipient: 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p' })),
    ],
    [
      'a recipient with a mistake',
      'site-record-format',
      () => readSiteRecord(raw({ recipient: `${site.read.recipient.slice(0, -1)}q` })),
    ],
    ['longer than allowed', 'site-record-format', () => readSiteRecord(raw({ end: NOW + 60 * 24 * 3600 }))],
    ['too large', 'site-record-format', () => readSiteRecord(`${'A'.repeat(MAX_SIGNED_CHARS)}.A`)],
    ['a key of small order', 'site-record-format', () => readSiteRecord(raw({ resultSigner: `AQ${'A'.repeat(41)}` }))],
    ['padded base64', 'site-record-format', () => readSiteRecord(`${site.record}=`)],
    ['a grant', 'site-record-forged', () => readSiteRecord(signed(site.identity, 'grant', payloadOf(site.record)))],
  ];
  for (const [what, code, work] of cases) assert.throws(work, refused(code), what);
  assert.equal(checkSiteRecord(later, { ...known, record: site.record }, NOW).serial, 2);
  assert.equal(checkSiteRecord(later, { ...known, record: later }, NOW).serial, 2);

  function raw(change: object): string {
    return signed(
      site.identity,
      'site',
      Buffer.from(JSON.stringify({ ...recordOf(site.identity, site.node), ...change })),
    );
  }
});

test('any text is refused, and none throws anything else', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const words = [
        text,
        `${toBase64url(Buffer.from(text))}.${'A'.repeat(86)}`,
        signed(site.identity, 'site', Buffer.from(text)),
      ];
      for (const word of words) assert.throws(() => readSiteRecord(word), { name: 'SealedRefusal' });
    }),
  );
});

function payloadOf(word: string): Buffer {
  return Buffer.from(word.split('.')[0] ?? '', 'base64url');
}
