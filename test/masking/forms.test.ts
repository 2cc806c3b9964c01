import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMasker, type NamedSecret } from '../../src/masking/masker.ts';
import { collectPatterns } from '../../src/masking/patterns.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { isMaskable } from './maskable.ts';

const KEY_FILE = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n9xK+/w==\n-----END KEY-----\n';
const values = {
  'a password with signs': `pä"ss\\w/o+r&d <'~*> =`,
  'a text outside the basic plane': 'clé-🔑-secrète',
  'a token': 'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  'a key with lines': KEY_FILE.trim(),
};

const PYTHON_FORMS = `
import base64, json, sys, urllib.parse
value = sys.stdin.buffer.read().decode()
data = value.encode()
around = [b'', b'x', b'xy', b'xyz']
print(json.dumps(value))
print(json.dumps(value, ensure_ascii=False))
print(json.dumps(json.dumps({'k': value})))
print(urllib.parse.quote(value), urllib.parse.quote(value, safe=''), urllib.parse.quote_plus(value))
print(urllib.parse.urlencode({'k': value}))
print(data.hex(), data.hex().upper())
for before in around:
    for after in around:
        print(base64.b64encode(before + data + after).decode())
        print(base64.urlsafe_b64encode(before + data + after).decode().rstrip('='))
print(base64.encodebytes(data).decode())
`;

for (const [what, value] of Object.entries(values)) {
  test(`every form in which Python prints it is masked: ${what}`, () => {
    const printed = execFileSync('python3', ['-c', PYTHON_FORMS], {
      input: value,
      env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
    });
    const shown = masked([value], printed);
    // Nothing but masks, what stands around them, and characters of base64 that are made of both.
    const left = shown.toString().replace(/\*\*\*|["\\{}k:= \n]/g, '');
    const encodings = 2 * 16;
    assert.ok(left.length <= encodings * (4 + 4 + 2), left);
    assert.equal(/[^A-Za-z0-9+/_-]/.test(left), false, left);
  });
}

const QUOTED = `
import os, subprocess, sys, traceback
value = sys.stdin.buffer.read().decode()
print(repr(value), [value], {'k': value + "'"}, ascii(value), value.encode(), value.encode() + b"'")
print(repr(os.environb[b'SECRET']))
sys.stdout.flush()
for shell in 'bash', 'sh':
    for end in '', "'":
        subprocess.run([shell, '-xc', ': "$0"', value + end], stdin=subprocess.DEVNULL, stderr=1)
`;

for (const [what, value] of Object.entries({
  ...values,
  'a password with both quotes': `it's "a\\b" \x7f\u00a0 ünd`,
  'a text that looks like an escape': 'C:\\new "folder"',
})) {
  test(`what Python and shells show of it in quotes is masked: ${what}`, () => {
    const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', PYTHONIOENCODING: 'utf-8', SECRET: value };
    const shown = masked([value], execFileSync('python3', ['-c', QUOTED], { input: value, env })).toString();
    const left = shown.replace(/\*\*\*|[\\"'{}[\]$:,+k \nb]|\\n/g, '');
    assert.equal(left, '', shown);
  });
}

test('each form is masked whole', () => {
  const forms = {
    'as it is': 'tëst/"key"+1',
    'in JSON': 'tëst/\\"key\\"+1',
    'in JSON of ASCII': 't\\u00ebst/\\"key\\"+1',
    'in JSON of ASCII, upper case': 't\\u00EBst/\\"key\\"+1',
    'in JSON in JSON': 't\\\\u00ebst/\\\\\\"key\\\\\\"+1',
    'in JSON with escaped slashes': 't\\u00ebst\\/\\"key\\"+1',
    'in a URL': 't%C3%ABst%2F%22key%22%2B1',
    'in a URL, lower case': 't%c3%abst%2f%22key%22%2b1',
    'in a path': 't%C3%ABst/%22key%22%2B1',
    'in hex': '74c3ab73742f226b6579222b31',
    'in upper case hex': '74C3AB73742F226B6579222B31',
    'in base64': 'dMOrc3QvImtleSIrMQ==',
    'in base64 after a byte': 'IHTDq3N0LyJrZXkiKzE=',
  };
  for (const [form, text] of Object.entries(forms)) {
    assert.match(masked(['tëst/"key"+1'], Buffer.from(`> ${text} <`)).toString(), /^> (IH?)?\*\*\* <$/, form);
  }
});

test('of base64 only characters that are made of other bytes as well remain', () => {
  const bytes = fc.uint8Array({ maxLength: 9 });
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 6, maxLength: 80 }).filter(isMaskable),
      bytes,
      bytes,
      (value, before, after) => {
        fc.pre(!/[\r\n]/.test(value));
        const data = Buffer.concat([before, Buffer.from(value), after]);
        for (const encoding of ['base64', 'base64url'] as const) {
          const shown = masked([value], Buffer.from(data.toString(encoding)));
          const others = Math.ceil((before.length * 8) / 6) + Math.ceil((after.length * 8) / 6) + 2;
          assert.ok(shown.length <= '***'.length + others + '=='.length, shown.toString());
        }
      },
    ),
  );
});

test('a value in any form is not in what is shown', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 6, maxLength: 60 }),
      fc.string(),
      fc.string(),
      (value, before, after) => {
        fc.pre(isMaskable(value) && !/[\r\n]/.test(value) && !before.includes(value) && !after.includes(value));
        const forms = [
          value,
          JSON.stringify(value).slice(1, -1),
          encodeURIComponent(value),
          new URLSearchParams([['', value]]).toString().slice(1),
          Buffer.from(value).toString('hex'),
          Buffer.from(value).toString('base64'),
        ];
        for (const form of forms) {
          const shown = masked([value], Buffer.from(before + form + after)).toString();
          assert.equal(shown.includes(form), false, form);
        }
      },
    ),
  );
});

test('a line of a value is masked that looks like a secret by itself', () => {
  const shown = masked([KEY_FILE], Buffer.from(`KEY:\n${KEY_FILE}9xK+/w== [MIIEvQIBADANBgkqhkiG9w0BAQEFAASC] ok\n`));
  assert.equal(shown.toString(), 'KEY:\n***\n***\n***\n***\n*** [***] ok\n');
  const lines = 'hunter2hunter2\r\n}\r\nsome words';
  assert.equal(masked([lines], Buffer.from('hunter2hunter2\n}\nsome words\n')).toString(), '***\n***\n***\n');
  assert.equal(masked([lines], Buffer.from('some words\nhunter2hunter2\n}\n')).toString(), 'some words\n***\n}\n');
});

test('a string inside a JSON document is masked, at any depth, unless it is known to be harmless', () => {
  const inner = JSON.stringify({ token: 'inner-token', also: ['in a list of 3', true, null, 123456789] });
  const document = JSON.stringify({ username: 'anna.lindqvist', nested: [{ inner }], short: 'abc' }, null, 2);
  const log = 'username anna.lindqvist token inner-token, "in a list of 3" true null short abc {\n';
  assert.equal(
    masked([document], Buffer.from(log)).toString(),
    'username anna.lindqvist token ***, "***" true null short abc {\n',
  );
});

test('a file is masked as it was sent and by the lines of its text', () => {
  const file: NamedSecret = {
    name: wireName('key.pem', 'file'),
    value: new Plaintext(Buffer.from(KEY_FILE).toString('base64')),
  };
  const log = `${Buffer.from(KEY_FILE).toString('base64')}\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC ok\n`;
  assert.equal(maskedBy([file], Buffer.from(log)).toString(), '***\n*** ok\n');
});

test('a file that is no text is masked as it was sent, in hex, and inside other base64', () => {
  const content = Buffer.from('00ff10e2bb80c0ffee00ff10e2bb80c0', 'hex');
  const file: NamedSecret = { name: wireName('key.bin', 'file'), value: new Plaintext(content.toString('base64')) };
  const log = `${content.toString('base64')} ${content.toString('hex')} ${Buffer.concat([Buffer.from('tar'), content]).toString('base64')}\n`;
  assert.equal(maskedBy([file], Buffer.from(log)).toString(), '*** *** dGFy***\n');
});

test('the content of a file is taken apart, unless it is masked as a whole', () => {
  const content = Buffer.from('{"user": "alice", "password": "tomatoes"}');
  const file = (mask?: 'whole'): NamedSecret => ({
    name: wireName('conf.json', 'file'),
    value: new Plaintext(content.toString('base64')),
    mask,
  });
  const log = Buffer.concat([Buffer.from('tomatoes '), content]);
  assert.equal(maskedBy([file()], log).toString(), '*** ***');
  assert.equal(maskedBy([file('whole')], log).toString(), 'tomatoes ***');
});

test('a file as it was sent is base64, and no piece of that between two slashes is a word', () => {
  const sent = Buffer.from('correct horse??? battery staple??? and more').toString('base64');
  const { patterns } = collectPatterns([{ name: wireName('a.txt', 'file'), value: new Plaintext(sent) }]);
  assert.match(sent, /\w{8}\/\w/);
  assert.ok(patterns.includes(sent as never));
  for (const piece of sent.split('/')) assert.ok(!patterns.includes(piece as never), piece);
});

test('a short file that is no text is masked from six bytes on', () => {
  const six = Buffer.from('fffefd012345', 'hex');
  const file = (bytes: Buffer): NamedSecret => ({
    name: wireName('k', 'file'),
    value: new Plaintext(bytes.toString('base64')),
  });
  const log = Buffer.concat([Buffer.from('a '), six, Buffer.from(' b')]);
  assert.equal(maskedBy([file(six)], log).toString('latin1'), 'a *** b');
  const five = six.subarray(0, 5);
  assert.deepEqual(maskedBy([file(five)], log), log);
});

test('secrets too large for every encoding are masked as they are, and named', () => {
  const large = { name: wireName('LARGE'), value: new Plaintext('0123456789abcdef'.repeat(100)) };
  const small = { name: wireName('SMALL'), value: new Plaintext('correct-horse') };
  const { patterns, partlyMasked } = collectPatterns([large, small], 3000);
  assert.deepEqual(partlyMasked, ['LARGE']);
  assert.deepEqual(
    [large, small].map(({ value }) => patterns.includes(value.reveal() as never)),
    [true, true],
  );
});

test('a value that holds itself over and over again takes no more memory than one that is as large', () => {
  let value = 'correct-horse'.repeat(100);
  for (let depth = 0; depth < 10; depth++) value = JSON.stringify([value]);
  const { patterns, partlyMasked } = collectPatterns([{ name: wireName('NESTED'), value: new Plaintext(value) }], 3000);
  assert.deepEqual(partlyMasked, ['NESTED']);
  assert.ok(patterns.includes(value as never));
  assert.ok(patterns.reduce((sum, { length }) => sum + length, 0) <= 2 * value.length);
});

test('an empty value, and one that is in others, take nothing from them', () => {
  assert.equal(masked(['', 'correct', 'correct-horse'], Buffer.from('correct-horse correct')).toString(), '*** ***');
});

function masked(secrets: string[], log: Uint8Array): Buffer {
  return maskedBy(
    secrets.map((value, index) => ({ name: wireName(`KEY${index}`), value: new Plaintext(value) })),
    log,
  );
}

function maskedBy(secrets: NamedSecret[], log: Uint8Array): Buffer {
  const stream = createMasker(secrets).stream();
  return Buffer.concat([...stream.write(log), ...stream.end()]);
}
