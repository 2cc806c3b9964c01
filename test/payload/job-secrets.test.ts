import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filesOf, jobSecretsOf, parseDelivery } from '../../src/payload/job-secrets.ts';
import { DecryptionFailed } from '../../src/protocol/errors.ts';
import type { WireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { byName, secretsText } from '../../src/protocol/secrets-text.ts';

const deliver = (secrets: object) => parseDelivery(Buffer.from(JSON.stringify(secrets)));
const base64 = (text: string) => Buffer.from(text).toString('base64');

test('every name and value of a delivery arrives as it was', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (secrets) => {
      const { secrets: parsed } = deliver(secrets);
      assert.deepEqual(
        new Map(parsed.map(({ name, value }) => [String(name), value.reveal()])),
        new Map(Object.entries(JSON.parse(JSON.stringify(secrets)))),
      );
    }),
  );
});

test('a secret named like a part of every object is one like any other', () => {
  const { secrets } = parseDelivery(Buffer.from('{"__proto__": "a", "constructor": "b"}'));
  assert.deepEqual(
    secrets.map(({ name, value }) => [name, value.reveal()]),
    [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ],
  );
});

test('what is not an object of strings is refused, and the error does not quote it', () => {
  for (const json of ['', '[]', 'null', '{"A": 1}', '{"A": {"b": "c"}}', '{"A": "hidden-value', '\xff']) {
    assert.throws(
      () => parseDelivery(Buffer.from(json, 'latin1')),
      (error: Error) => error instanceof DecryptionFailed && !/hidden-value/.test(error.message),
    );
  }
});

test('the JSON text is ASCII, and means the same', () => {
  const text = '{"ключ": "pässwörd 🔑 \u007f", "___file___:é": "YQ=="}';
  const { json } = parseDelivery(Buffer.from(text));
  const written = Buffer.from(json).toString('latin1');
  assert.ok(
    Buffer.from(json).every((byte) => byte < 0x80),
    written,
  );
  assert.match(written, /"p\\u00e4ssw\\u00f6rd \\ud83d\\udd11/);
  assert.deepEqual(JSON.parse(written), JSON.parse(text));
});

test("a file secret is a file when its name is a plain one that is not the pilot's and its value is base64", () => {
  const { secrets } = deliver({
    A: 'no file',
    '___file___:key': base64('y\n'),
    '___file___:../up': base64('x'),
    '___file___:.': base64('x'),
    '___file___:panda_secrets.json': base64('x'),
    '___file___:.panda_secrets': base64('x'),
    '___file___:words': 'not base64',
  });
  const { files, impossible } = filesOf(secrets);
  assert.deepEqual(
    files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]),
    [['key', 'y\n']],
  );
  assert.deepEqual(impossible, ['../up', '.', 'panda_secrets.json', '.panda_secrets', 'words']);
});

test('secrets that were sealed make the same file as plain ones, to the byte', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (values) => {
      const secrets = Object.entries(values).map(([name, value]) => ({
        name: name as WireName,
        value: new Plaintext(value),
      }));
      // As the vault answers: sorted, and its text.
      const { json } = parseDelivery(Buffer.from(secretsText(secrets.toSorted(byName))));
      assert.deepEqual(jobSecretsOf(secrets).json, json);
    }),
  );
});
