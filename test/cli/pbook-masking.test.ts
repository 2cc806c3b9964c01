import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maskingOf, maskingRemark } from '../../src/cli/pbook/masking.ts';
import { takeApart } from '../../src/masking/parts.ts';
import { wireName } from '../../src/protocol/names.ts';

const NAME = wireName('K', 'string');
const FILE = wireName('K', 'file');

/** All that set_secret and masking say of a value, without what they say of any. */
function said(value: string, name = NAME): string {
  const { hidden, visible } = maskingOf(name, value, 'parts');
  return [
    /jobs: (.*) of K/.exec(maskingRemark(name, value, 'parts')?.text ?? '')?.[1] ?? '',
    ...hidden.flatMap(({ fields }) => fields),
    ...visible.names,
  ]
    .join(' ')
    .replace(/\d+ (other )?fields?/g, '');
}

test('names of a structured value are told, and others are counted', () => {
  const value = JSON.stringify({
    user: 'alice',
    host: 'db.example.org',
    colour: 'green-blue',
    password: 'correct-horse',
  });
  assert.equal(
    maskingRemark(NAME, value, 'parts')?.text,
    'Stays visible in the logs of jobs: host, user and 1 other field of K ("pbook masking K" tells more)',
  );
  assert.deepEqual(maskingOf(NAME, value, 'parts').visible, { fields: 3, names: ['host', 'user'] });
});

test('of a program kept as a file no piece is told', () => {
  const program = `import os
def connect(host, secret=os.environ['S3CR3T-fallback-value']):
    mypassphrase = correcthorse + "batterystaple"
    tokens[hunter2hunter2] = {"xy7-kkw": host, 'zweite passphrase': 1}
    return retries == 5 and url != f"https://{user}:{mypassphrase}@x"
`;
  const shown = said(Buffer.from(program).toString('base64'), FILE);
  assert.doesNotMatch(shown, /import|connect|passphrase|correct|battery|hunter2|xy7|zweite|return/);
});

/** Where a person or a program puts a value so that a reader may take it for a name. */
const AS_A_NAME: ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text}: x1`,
  (text) => `${text}=5`,
  (text) => `[${text}]\na = 1`,
  (text) => `<${text}>1</${text}>`,
  (text) => `{"${text}": "ok"}`,
  (text) => `--${text} 5`,
  (text) => `https://h/?${text}=1`,
  (text) => `${text};x=1,y`,
  (text) => `a,${text},password\n1,2,3`,
];

test('no piece of a random text is told, wherever a name may be', () => {
  // Two letters that no name of a field begins with.
  const word = fc.stringMatching(/^zq[a-z0-9-]{4,24}$/);
  fc.assert(
    fc.property(word, fc.constantFrom(...AS_A_NAME), fc.boolean(), (text, put, isFile) => {
      const value = put(text);
      const shown = said(isFile ? Buffer.from(value).toString('base64') : value, isFile ? FILE : NAME);
      for (let at = 0; at + 6 <= text.length; at += 1) assert.ok(!shown.includes(text.slice(at, at + 6)), shown);
    }),
    { numRuns: 300 },
  );
});

test('nothing of what is hidden is told, and nothing of a text without a structure', () => {
  const text = fc.string({ unit: 'grapheme-ascii', minLength: 6, maxLength: 200 });
  const document = fc.json({ maxDepth: 3 });
  fc.assert(
    fc.property(fc.oneof(text, document), (value) => {
      const shown = said(value);
      for (const { part, as } of takeApart(value).hidden) {
        if (as === 'whole' || typeof part !== 'string') continue;
        for (let at = 0; at + 6 <= part.length; at += 1) assert.ok(!shown.includes(part.slice(at, at + 6)));
      }
      for (const shownWord of shown.split(/[\s,]+/))
        assert.ok(shownWord === 'and' || shownWord === '' || !/[^A-Za-z_.-]/.test(shownWord));
    }),
    { numRuns: 300 },
  );
});
