import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { createMasker } from '../../src/masking/masker.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { bytesOf, readCorpus } from './corpus.ts';
import { DECODERS } from './decoders.ts';
import { findLeak } from './oracle.ts';

const corpus = readCorpus();

/** Programs that write `?` for what their locale lacks: so little is left of this secret that nobody can read six characters. */
const UNREADABLE = ['ls -q', 'java: println in the C locale', 'python: errors="replace"', 'socat -v'];

test('the oracle reads the secret in all that the programs of the corpus print', () => {
  const blind = corpus.filter((each) => findLeak(each.secret, bytesOf(each, 'printed')) === undefined);
  assert.deepEqual([...new Set(blind.map(({ producer }) => producer))].toSorted(), UNREADABLE.toSorted());
  assert.deepEqual([...new Set(blind.map(({ secret }) => secret))], ['clé-🔑-secrète']);
});

for (const [producer, cases] of Map.groupBy(corpus, (each) => each.producer)) {
  test(`six characters of a secret cannot be read in what is left, but where the page says so: ${producer}`, () => {
    for (const each of cases) {
      const leak = findLeak(each.secret, bytesOf(each, 'left'));
      if (each.gap === undefined) assert.equal(leak, undefined, `${JSON.stringify(leak)} of ${each.secret}`);
      else assert.ok(leak, `${each.secret} is masked: its gap is closed`);
    }
  });
}

test('each decoder reads the example that was written down for it', () => {
  const examples: Record<keyof typeof DECODERS, [secret: string, printed: string][]> = {
    percent: [
      ['a b/c=d', 'a%20b%2fc%3Dd'],
      ['a b/c=d', 'a+b%2fc%3Dd'],
      ['äb🔑def', '%u00e4b%uD83D%uDD11def'],
    ],
    backslash: [
      ['a\tb"c\u00e4', String.raw`a\tb\"c\u00e4`],
      ['äb🔑def', String.raw`\303\244b\ud83d\uDD11def`],
      ['äbcdef', String.raw`\xe4bcd\x{65}f`],
    ],
    'backslash before any character': [['hunter', String.raw`\h\u\n\t\e\r`]],
    'backslashes away': [['a"b"cd', String.raw`a\\\"b\\\\"cd`]],
    'decimal after a backslash': [['a"b"cd', String.raw`a\034b\034cd`]],
    'hex after a backslash': [
      ['a*b*cd', String.raw`a\2ab\2acd`],
      ['1a b cd', String.raw`\31 a\20 b\000020 cd`],
    ],
    'quoted-printable': [['äb=cdef', '=C3=A4b=3Dc=\nd=\r\nef']],
    'cat -v': [['äb\tcdef', 'M-CM-$b^Icdef']],
    'zsh: \\M-A': [['äb\tcdef', String.raw`\M-C\M-$b\C-icdef`]],
    entities: [['a&b<cä', 'a&amp;b&#60;c&#xE4;']],
    'doubled quotes': [[`a'b"c'd`, `a''b""c''d`]],
    'quotes of a shell': [[`a b'c"d`, `'a b'\\''c"d'`]],
    'quotes left and entered again': [[`a'b'cd`, `a'"'"'b'\\''cd`]],
    'signs of templates': [
      ['a$b%cde', 'a$$b%%cde'],
      ['a$b"c\tde', 'a`$b`"c`tde'],
      ["a!b'cde", `a'\\!'b'\\''cde`],
    ],
    "rsyslog's escapes": [['abc\tdef', 'abc#011def']],
    'lines that were broken': [['abcdef', `'abc'\n  'def'`]],
    base64: [
      ['secret', 'c2VjcmV0'],
      ['secret', Buffer.from('xsecretx').toString('base64')],
      ['secret', Buffer.from('xxsecret').toString('base64url')],
      ['secret-of-many', 'c2VjcmV0LW\n9mLW1hbnk='],
    ],
    base32: [['secret', 'ONSWG4TFOQ======']],
    hex: [['secret', '0736563 7265740'.replace(' ', '')]],
    'lists of numbers': [
      ['secret', '[115, 101, 99, 114, 101, 116]'],
      ['secret', '<Buffer 73 65 63 72 65 74>'],
      ['secret', '73:65:63:72:65:74'],
      ['secret', '0x73, 0x65, 0x63, 0x72, 0x65, 0x74'],
    ],
    dumps: [
      ['secret', '00000000: 7365 6372 6574   ......'],
      ['secret', '0000000 6573 7263 7465'],
      ['secret', '0000000 062563 071143 072145'],
      ['secret', '0000000   s   e   c   r   e   t'],
      ['secret', '0000000 72636573 00007465'],
      ['secret', '0000000  115 101  99 114 101 116'],
      ['secret', '00000000: 01110011 01100101 01100011 01110010 01100101 01110100  secret'],
      ['of-two-lines', '00000000  6f 66 2d 74  |of-t|\n00000004  77 6f 2d 6c 69 6e 65 73  |wo-lines|'],
    ],
    'base85 and uuencode': [
      ['secret-1', 'b7f<4Wpphu'],
      ['secret', '&<V5C<F5T'],
    ],
    'colours of a terminal': [['secret', 'se\x1b[01;31m\x1b[Kcr\x1b[m\x1b[Ket']],
    'UTF-8 read as Latin-1': [['secrèt', Buffer.from('secrÃ¨t').toString('latin1')]],
    'cut, turned round, in capitals, compressed': [
      ['secret', "['s', 'e', 'c', 'r', 'e', 't']"],
      ['secret', 'terces'],
      ['secret', 'SECRET'],
      ['secret', gzipSync('secret').toString('latin1')],
    ],
    'UTF-16': [['secrèt', Buffer.from('\ufeffsecrèt', 'utf16le').toString('latin1')]],
    'Latin-1': [['secrèt', 'secr\u00e8t']],
    composed: [['secrèt', Buffer.from('secrèt'.normalize('NFD')).toString('latin1')]],
  };
  assert.deepEqual(Object.keys(examples), Object.keys(DECODERS));
  for (const [name, cases] of Object.entries(examples)) {
    for (const [secret, printed] of cases) {
      const decoded = DECODERS[name]?.(printed) ?? [];
      const leak = decoded.find((text) => findLeak(secret, Buffer.from(text, 'latin1'), 0));
      assert.ok(leak !== undefined, `${name}: ${printed} gives ${JSON.stringify(decoded)}`);
    }
  }
});

const bytesIn = (text: string, digits: (byte: number) => string) => Array.from(Buffer.from(text), digits);
const hexIn = (text: string) => bytesIn(text, (byte) => byte.toString(16).padStart(2, '0'));
const forHtml = (text: string) =>
  text.replace(/[&<>"']/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? '&#39;');
/** Encodings that are written here once more, of secrets that no corpus has. */
const ENCODERS: Record<string, (secret: string) => string> = {
  JSON: (secret) => JSON.stringify(secret),
  'JSON of JSON': (secret) => JSON.stringify(JSON.stringify({ secret })),
  'HTML of JSON': (secret) => forHtml(JSON.stringify({ secret })),
  'a URL': (secret) => `${new URL(`https://host/${secret.replace(/[?#]/g, encodeURIComponent)}`)}`,
  'a query': (secret) => `${new URLSearchParams({ secret })}`,
  'a query of JSON': (secret) => `${new URLSearchParams({ q: JSON.stringify({ secret }) })}`,
  'quotes of a shell': (secret) => `'${secret.replaceAll("'", `'\\''`)}'`,
  'quotes of SQL': (secret) => `'${secret.replaceAll("'", "''")}'`,
  'a backslash each': (secret) => secret.replace(/./gu, '\\$&'),
  'base64 of JSON': (secret) => Buffer.from(JSON.stringify({ secret })).toString('base64'),
  'base64 in lines': (secret) =>
    Buffer.from(`${'a text '.repeat(7)}${secret} ${'and more '.repeat(7)}`)
      .toString('base64')
      .replace(/.{64}/g, '$&\n'),
  'hex with blanks': (secret) => hexIn(secret).join(' ').toUpperCase(),
  'a list of C': (secret) =>
    hexIn(secret)
      .map((byte) => `0x${byte}`)
      .join(','),
  'numbers with blanks': (secret) => bytesIn(secret, String).join(' '),
};

test('six characters of any secret of signs cannot be read in what is left of its encodings', () => {
  const sign = fc.oneof(
    fc.constantFrom(...'\'"\\%&+=/ ;$`<>-_01acfnrtuxZ\té🔑'),
    fc.string({ minLength: 1, maxLength: 1 }),
  );
  const line = fc.array(sign, { minLength: 8, maxLength: 24 }).map((signs) => signs.join('').trim());
  fc.assert(
    fc.property(line, (secret) => {
      fc.pre([...secret].length >= 8 && secret.isWellFormed() && /[A-Za-z0-9]/.test(secret));
      // A URL loses such a piece of its path, and with it a part of the secret.
      fc.pre(!/(?:^|[\\/])\.{1,2}(?:[\\/]|$)/.test(secret));
      const masker = createMasker([{ name: wireName('S'), value: new Plaintext(secret) }]);
      for (const [name, encode] of Object.entries(ENCODERS)) {
        const stream = masker.stream();
        const printed = Buffer.from(`x = (${encode(secret)})\n`);
        const left = Buffer.concat([...stream.write(printed), ...stream.end()]);
        assert.equal(findLeak(secret, left, 1), undefined, `${name}: ${printed} leaves ${left}`);
      }
    }),
    { numRuns: 60 },
  );
});

test('a secret of lines that is printed without their ends is hidden', () => {
  const secret = 'some words\nand more of them';
  const stream = createMasker([{ name: wireName('S'), value: new Plaintext(secret) }]).stream();
  const left = Buffer.concat([...stream.write(Buffer.from('some wordsand more of them\n')), ...stream.end()]);
  assert.equal(left.toString(), '***\n');
});

test('a backslash that a URL shows as a slash hides nothing of a secret', () => {
  const secret = 'C:\\keys\\of alice\\team';
  const stream = createMasker([{ name: wireName('S'), value: new Plaintext(secret) }]).stream();
  const printed = Buffer.from(`${new URL(`https://host/${secret}`)}\n`);
  assert.equal(Buffer.concat([...stream.write(printed), ...stream.end()]).toString(), 'https://host/***\n');
});
