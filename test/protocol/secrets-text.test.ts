import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { quoted, secretsText } from '../../src/protocol/secrets-text.ts';

test('secrets are written as JSON.stringify writes an object of them', () => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), (secrets) => {
      const given = secrets.map(([name, value]) => ({ name, value: new Plaintext(value) }));
      assert.equal(secretsText(given), JSON.stringify(Object.fromEntries(secrets)));
    }),
  );
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join('');
  assert.equal(quoted(all), JSON.stringify(all));
});
