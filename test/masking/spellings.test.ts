import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFinder } from '../../src/masking/finder.ts';
import { createMasker, type NamedSecret } from '../../src/masking/masker.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';

/** Ways of writing one character that hold whatever stands beside it. */
const SPELLINGS: Record<string, (char: string) => string> = {
  'as it is': (char) => char,
  percent: (char) => eachByte(char, (hex) => `%${hex}`),
  'percent, upper case': (char) => eachByte(char, (hex) => `%${hex.toUpperCase()}`),
  backslash: (char) => (/[!-/:-@[-`{-~]/.test(char) ? `\\${char}` : char),
  octal: (char) => eachByte(char, (hex) => `\\${Number.parseInt(hex, 16).toString(8).padStart(3, '0')}`),
  '\\x': (char) => eachByte(char, (hex) => `\\x${hex}`),
  '\\u': (char) => eachUnit(char, (hex) => `\\u${hex}`),
  '\\U': (char) => `\\U${hexOf(char).padStart(8, '0')}`,
  '\\u{}': (char) => `\\u{${hexOf(char)}}`,
  '\\\\u, in JSON again': (char) => eachUnit(char, (hex) => `\\\\u${hex}`),
  decimal: (char) => `&#${char.codePointAt(0)};`,
  hex: (char) => `&#x${hexOf(char)};`,
  'entity in a URL': (char) => `%26%23${char.codePointAt(0)}%3B`,
};

const secrets = fc.string({ unit: fc.constantFrom(...'abcXYZ0189!$^&<>"%+-_=é🔑ä/ '), minLength: 8, maxLength: 30 });
const spelled = secrets
  .filter((secret) => new Set(secret).size > 4 && secret.trim() === secret)
  .chain((secret) =>
    fc.record({
      secret: fc.constant(secret),
      spellings: fc.array(fc.constantFrom(...Object.values(SPELLINGS)), {
        minLength: [...secret].length,
        maxLength: [...secret].length,
      }),
    }),
  );
const around = fc.string({ unit: fc.constantFrom(...'qQ#;:,. \n'), maxLength: 40 });

test('a secret is hidden however each of its characters is written, in any pieces and whatever stands around', () => {
  fc.assert(
    fc.property(
      spelled,
      around,
      around,
      fc.integer({ min: 1, max: 40 }),
      ({ secret, spellings }, before, after, size) => {
        const written = [...secret].map((char, index) => (spellings[index] as (char: string) => string)(char)).join('');
        const shown = masked([named('S', secret)], Buffer.from(`${before}<${written}>${after}`), size);
        assert.equal(shown, `${before}<***>${after}`);
      },
    ),
    { numRuns: 1500 },
  );
});

test('an escape behind a backslash of the secret itself is read, near its beginning and far from it', () => {
  for (const secret of ['ab\\cdefghij', 'correct-horse-battery-of-a-large-car\\staple']) {
    const written = secret.replace(/\\(.)/, (_all, char: string) => `\\\\x${hexOf(char)}`);
    assert.equal(
      masked([named('S', secret)], Buffer.from(`some text <${written}> and more\n`), 100),
      'some text <***> and more\n',
    );
  }
});

test('dumps in words of four and eight bytes, and of characters without offsets, show nothing, in any pieces', () => {
  const secret = 'pässw-rd:9';
  const dumps = [
    '0000000 73a4c370 722d7773 00393a64\n0000013\n',
    '0000000 722d777373a4c370 0000000000393a64\n0000013\n',
    '   p 303 244   s   s   w   -   r   d   :   9\n',
    '   k   e   y   =   p 303 244   s   s   w   -   r   d   :\n   9\n',
  ];
  for (const dump of dumps) {
    for (const size of [3, 100]) {
      const shown = masked([named('S', secret)], Buffer.from(`begin\n${dump}end\n`), size);
      assert.match(shown, /\*\*\*/, dump);
      assert.doesNotMatch(shown, /73a4|722d|393a|303| {3}s| {3}9/, dump);
    }
  }
  const indented = '   a b c\n   - item\n 103 files\n 123 103\n';
  assert.equal(masked([named('S', secret)], Buffer.from(indented), 3), indented);
});

test('octal with a zero before it, zsh for DEL, and the words of a mail header are read', () => {
  for (const [secret, written] of [
    ['hunter2', '\\0150\\0165\\0156\\0164\\0145\\0162\\0062'],
    ['key\x7fof\x01zsh', "$'key\\C-?of\\C-Azsh'"],
    ['pa$$w0rd horse_é', '=?utf-8?q?pa=24=24w0rd_horse=5F=C3=A9?='],
  ] as const) {
    const shown = masked([named('S', secret)], Buffer.from(`<${written}>`), 4);
    assert.match(shown, /\*\*\*/, written);
    assert.doesNotMatch(shown, /0165|key|horse/, written);
  }
});

test('a text without secrets passes byte for byte, in any pieces', () => {
  const text = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(
        fc.constantFrom(
          '\\',
          '\\u00',
          '%',
          '%4',
          '&',
          '&#x',
          "'",
          '"',
          '+',
          '\r',
          '\n',
          '0000000 ',
          ' 61',
          'A'.repeat(60),
          ': ',
        ),
        {
          maxLength: 60,
        },
      )
      .map((pieces) => Buffer.from(pieces.join(''))),
  );
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 40 }), (bytes, size) => {
      const shown = masked([named('S', 'correct-horse-battery'), named('T', 'pä"ss\\w/o+r&d')], bytes, size, 'latin1');
      assert.equal(shown, bytes.toString('latin1'));
    }),
    { numRuns: 1500 },
  );
});

test('a finished line is shown at once, though it ends like a secret in base64, and one of a block is held', () => {
  const secret = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';
  const stream = createMasker([named('S', secret)]).stream();
  const write = (text: string): string => Buffer.concat(stream.write(Buffer.from(text))).toString();
  const beginning = Buffer.from(secret).toString('base64').slice(0, 12);
  assert.equal(write(`ends like one: ${beginning}\n`), `ends like one: ${beginning}\n`);
  assert.equal(write(`${'0f'.repeat(32)}\n`), `${'0f'.repeat(32)}\n`, 'a digest');
  assert.equal(write('C:\\\n'), 'C:\\\n');
  assert.equal(write('3'), '3', 'no line of a dump begins so');
  assert.equal(write('2\n'), '2\n');
  const block = `${'Q'.repeat(64)}${beginning}\n`;
  assert.equal(write(block), 'Q'.repeat(64));
  assert.equal(write('something else\n'), `${beginning}\nsomething else\n`);
});

test('a finder tells where in a stream each secret stands, and which one it is', () => {
  const secrets = [named('A', 'correct-horse'), named('B', 'horse-battery')];
  const stream = createFinder(secrets).stream();
  const found = ['0123 corr', 'ect-\\x68orse-battery ', '%63orrect-horse'].flatMap((text) =>
    stream.write(Buffer.from(text)),
  );
  assert.deepEqual(
    [...found, ...stream.end()].map(({ start, end, names }) => [start, end, ...names]),
    [
      [5, 21, 'A'],
      [13, 29, 'B'],
      [30, 45, 'A'],
    ],
  );
});

function masked(secrets: NamedSecret[], bytes: Buffer, size: number, encoding: BufferEncoding = 'utf8'): string {
  const stream = createMasker(secrets).stream();
  const shown: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size)
    shown.push(Buffer.concat(stream.write(bytes.subarray(at, at + size))));
  return Buffer.concat([...shown, ...stream.end()]).toString(encoding);
}

function named(name: string, value: string): NamedSecret {
  return { name: wireName(name), value: new Plaintext(value) };
}

function eachByte(char: string, write: (hex: string) => string): string {
  return Array.from(Buffer.from(char), (byte) => write(byte.toString(16).padStart(2, '0'))).join('');
}

function eachUnit(char: string, write: (hex: string) => string): string {
  return Array.from({ length: char.length }, (_, index) =>
    write(char.charCodeAt(index).toString(16).padStart(4, '0')),
  ).join('');
}

function hexOf(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16);
}
