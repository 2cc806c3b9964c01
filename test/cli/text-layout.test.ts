import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { measureFor } from '../../src/cli/text-layout.ts';

test('the library that knows letters of every script measures texts with others than those of ASCII, and no others', async () => {
  for (const text of ['日本', 'ü', 'a\tb', 'a\nb', '👍🏽', 'a\u0007', '\u001b[31mé\u001b[39m']) {
    assert.equal(await measureFor(['plain', text]), stringWidth, JSON.stringify(text));
  }
  assert.notEqual(await measureFor(['plain', '', '\u001b[31mred\u001b[39m']), stringWidth);
});

test('both measure texts of ASCII alike, styles or none', async () => {
  const style = fc.constantFrom('\u001b[31m', '\u001b[39m', '\u001b[1;4m');
  const letter = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
  const texts = fc.array(fc.oneof({ weight: 5, arbitrary: letter }, style)).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(texts, async (text) => assert.equal((await measureFor([text]))(text), stringWidth(text))),
  );
});
