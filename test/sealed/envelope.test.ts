import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armor, Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { toBase64url } from '../../src/protocol/base64url.ts';
import { InvalidValue } from '../../src/protocol/errors.ts';
import { lengthPrefixed } from '../../src/protocol/length-prefixed.ts';
import { MAX_SEALED_STANZAS, MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { isSealedValue } from '../../src/protocol/sealed-value.ts';
import { checkSealedSize, openEnvelope, paddedSize, sealEnvelope } from '../../src/sealed/envelope.ts';
import { signatureOf } from '../../src/sealed/signed.ts';
import { sealedFor, siteNumber, userNumber } from './samples.ts';

const owner = await userNumber(1);
const site = await siteNumber(1);
const other = await siteNumber(2);
const id = site.read.identity;
const expected = { signer: owner.signer.publicKey, name: 'TOKEN', atLeast: 5 };
const forSite = { ...expected, site: id };
const sealed = await sealedFor(owner, [site.read]);

const refused = (code: string) => ({ name: 'SealedRefusal', code });

/** An envelope with the plaintext that a test makes, which its site can open. */
async function enveloped(plaintext: Uint8Array, recipients = [site.read.recipient]): Promise<string> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(plaintext));
}

/** The layout of a plaintext, with parts that a test changes. */
function plaintextOf(
  value: string,
  change: {
    header?: object;
    text?: string;
    signer?: typeof owner.signer;
    tail?: Uint8Array;
    type?: 'value' | 'grant';
    format?: string;
  } = {},
): Uint8Array {
  const bytes = Buffer.from(value);
  const signer = change.signer ?? owner.signer;
  const fields = {
    name: 'TOKEN',
    version: 5,
    sites: [{ id, serial: 1 }],
    signer: owner.signer.publicKey,
    length: bytes.length,
  };
  const header = Buffer.from(change.text ?? JSON.stringify({ ...fields, ...change.header }));
  const signature = signatureOf(signer, change.type ?? 'value', lengthPrefixed(header, bytes));
  const head = Buffer.from(
    `${change.format ?? 'panda-secrets-sealed-v1'}\n${toBase64url(header)}\n${toBase64url(signature)}\n`,
  );
  const whole = Buffer.concat([head, bytes]);
  const padded = Buffer.alloc(paddedSize(whole.length));
  whole.copy(padded);
  return change.tail ? Buffer.concat([padded.subarray(0, padded.length - change.tail.length), change.tail]) : padded;
}

test('a sealed value opens for its owner and for its site, and is what it was', async () => {
  for (const [identity, what] of [
    [owner.age.identity, expected],
    [site.node.age.identity, forSite],
  ] as const) {
    const opened = await openEnvelope(sealed, [identity], what);
    assert.equal(opened.value.reveal(), 'a-value-to-hide');
    assert.deepEqual(
      { ...opened, value: undefined },
      { name: 'TOKEN', version: 5, sites: [{ id, serial: 1 }], value: undefined },
    );
  }
});

test('every text of Unicode comes back as it was, under every name', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 3000 });
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), async (value, version) => {
      const made = await sealedFor(owner, [], { value, version });
      const opened = await openEnvelope(made, [owner.age.identity], { ...expected, atLeast: version });
      assert.equal(opened.value.reveal(), value);
      assert.ok(isSealedValue(made));
    }),
    { numRuns: 30 },
  );
});

test('a sealed value is told from an age file that a user made', async () => {
  assert.ok(isSealedValue(sealed));
  const own = await enveloped(Buffer.from('mine'), [owner.age.recipient]);
  for (const text of [own, 'plain', '', sealed.slice(1), sealed.slice(0, 60)]) assert.ok(!isSealedValue(text));
});

test('nobody else opens it', async () => {
  await assert.rejects(openEnvelope(sealed, [other.node.age.identity], forSite), refused('secret-unreadable'));
  await assert.rejects(openEnvelope(sealed, [], forSite), refused('secret-unreadable'));
});

test('the first identity that fits opens it', async () => {
  const opened = await openEnvelope(sealed, [other.node.age.identity, site.node.age.identity], forSite);
  assert.equal(opened.value.reveal(), 'a-value-to-hide');
});

test('one changed letter anywhere is refused', async () => {
  const begin = sealed.indexOf('\n') + 1;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: begin, max: sealed.length - 36 }),
      fc.constantFrom(...'AZaz09+/'),
      async (at, letter) => {
        fc.pre(sealed[at] !== '\n' && sealed[at] !== letter && sealed[at] !== '=');
        const changed = sealed.slice(0, at) + letter + sealed.slice(at + 1);
        await assert.rejects(openEnvelope(changed, [site.node.age.identity], forSite), { name: 'SealedRefusal' });
      },
    ),
    { numRuns: 60 },
  );
});

test('each part of what is inside is checked, in its order', async () => {
  const attacker = (await userNumber(9)).signer;
  const cases: [string, string, Uint8Array][] = [
    [
      'another signer',
      'secret-foreign-signer',
      plaintextOf('v', { signer: attacker, header: { signer: attacker.publicKey } }),
    ],
    ['the victim named, signed by another', 'secret-forged', plaintextOf('v', { signer: attacker })],
    ['a signature of another type', 'secret-forged', plaintextOf('v', { type: 'grant' })],
    ['another name', 'secret-swapped', plaintextOf('v', { header: { name: 'OTHER' } })],
    ['a file of that name', 'secret-swapped', plaintextOf('v', { header: { name: '___file___:TOKEN' } })],
    [
      'another site',
      'secret-other-site',
      plaintextOf('v', { header: { sites: [{ id: other.read.identity, serial: 1 }] } }),
    ],
    ['an older version', 'secret-old', plaintextOf('v', { header: { version: 4 } })],
    ['a version that is text', 'secret-format', plaintextOf('v', { header: { version: '5' } })],
    ['a version of 1.5', 'secret-format', plaintextOf('v', { header: { version: 5.5 } })],
    ['a field more', 'secret-format', plaintextOf('v', { header: { more: 1 } })],
    [
      'spaces',
      'secret-format',
      plaintextOf('v', {
        text: JSON.stringify(
          { name: 'TOKEN', version: 5, sites: [], signer: owner.signer.publicKey, length: 1 },
          null,
          1,
        ),
      }),
    ],
    [
      'fields in another order',
      'secret-format',
      plaintextOf('v', {
        text: JSON.stringify({ version: 5, name: 'TOKEN', sites: [], signer: owner.signer.publicKey, length: 1 }),
      }),
    ],
    [
      'a doubled field',
      'secret-format',
      plaintextOf('v', {
        text: `{"name":"TOKEN","name":"TOKEN","version":5,"sites":[],"signer":"${owner.signer.publicKey}","length":1}`,
      }),
    ],
    ['a value that is longer than all', 'secret-format', plaintextOf('v', { header: { length: 5000 } })],
    ['a byte in the padding', 'secret-format', plaintextOf('v', { tail: Buffer.from([1]) })],
    ['other padding', 'secret-format', Buffer.concat([plaintextOf('v'), new Uint8Array(8)])],
    ['another version of the layout', 'secret-format', plaintextOf('v', { format: 'panda-secrets-sealed-v2' })],
    ['no text', 'secret-format', new Uint8Array(1024)],
    ['not even a line', 'secret-format', Buffer.from('x')],
  ];
  for (const [what, code, plaintext] of cases) {
    await assert.rejects(
      openEnvelope(await enveloped(plaintext), [site.node.age.identity], forSite),
      refused(code),
      what,
    );
  }
});

test('a key of small order, or that is no key, signs nothing', async () => {
  for (const signer of [
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    `${'_'.repeat(42)}8`,
  ]) {
    const made = await enveloped(plaintextOf('v', { header: { signer } }));
    await assert.rejects(
      openEnvelope(made, [site.node.age.identity], { ...forSite, signer }),
      refused('secret-format'),
    );
  }
});

test('a stanza of another kind is refused: nothing else is tried', async () => {
  const x25519 = await identityToRecipient(await generateX25519Identity());
  const made = await enveloped(plaintextOf('v'), [site.read.recipient, x25519]);
  await assert.rejects(openEnvelope(made, [site.node.age.identity], forSite), refused('secret-format'));
});

test('more stanzas than allowed are counted and not parsed', async () => {
  const header = `age-encryption.org/v1\n${'-> mlkem768x25519 A\n\n'.repeat(10_000)}--- ${'A'.repeat(43)}\n`;
  const many = armor.encode(Buffer.concat([Buffer.from(header), new Uint8Array(2000)]));
  const began = process.cpuUsage();
  for (let n = 0; n < 10; n++) {
    await assert.rejects(openEnvelope(many, [site.node.age.identity], forSite), refused('sealed-too-large'));
  }
  const { user, system } = process.cpuUsage(began);
  assert.ok(user + system < 2_000_000, 'ten of them take no two seconds of CPU');
  const few = (count: number) =>
    armor.encode(
      Buffer.from(`age-encryption.org/v1${'\n-> mlkem768x25519 A\n'.repeat(count)}\n--- ${'A'.repeat(43)}\n`),
    );
  checkSealedSize(few(MAX_SEALED_STANZAS));
  assert.throws(() => checkSealedSize(few(MAX_SEALED_STANZAS + 1)), refused('sealed-too-large'));
  for (const text of ['x'.repeat(MAX_VALUE_BYTES + 1), '', armor.encode(new Uint8Array(300_000))]) {
    assert.throws(() => checkSealedSize(text), refused('sealed-too-large'));
  }
});

test('any text is refused, and none throws anything else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 500 }), async (text) => {
      for (const made of [
        text,
        armor.encode(Buffer.from(text)),
        armor.encode(Buffer.from(`age-encryption.org/v1\n${text}`)),
      ]) {
        await assert.rejects(openEnvelope(made, [site.node.age.identity], forSite), { name: 'SealedRefusal' });
      }
    }),
  );
});

test('any plaintext inside is refused, and none throws anything else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.integer({ min: 0, max: 3 }),
      async (text, lines) => {
        const good = Buffer.from(plaintextOf('v')).toString('latin1').split('\n').slice(0, lines);
        const made = await enveloped(Buffer.from([...good, text].join('\n')));
        await assert.rejects(openEnvelope(made, [site.node.age.identity], forSite), { name: 'SealedRefusal' });
      },
    ),
    { numRuns: 50 },
  );
});

test('sizes tell a few bits of a length alone', async () => {
  assert.deepEqual(
    [1, 1024, 1025, 2048, 3000, 100_001, 1_000_000].map(paddedSize),
    [1024, 1024, 1088, 2048, 3072, 100_352, 1_015_808],
  );
  const one = await sealedFor(owner, [], { value: 'x' });
  const another = await sealedFor(owner, [], { value: 'x'.repeat(300) });
  assert.equal(one.length, another.length);
});

test('736 kB can be sealed, and what is too large is refused before it is sent', async () => {
  const big = 'x'.repeat(736_000);
  const made = await sealedFor(owner, [site.read], { value: big });
  assert.equal((await openEnvelope(made, [site.node.age.identity], forSite)).value.reveal(), big);
  const tooBig = { name: wireName('TOKEN'), version: 1, value: new Plaintext('x'.repeat(800_000)), sites: [] };
  await assert.rejects(sealEnvelope(owner, tooBig), InvalidValue);
});

test("age's own keys open it", async () => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(owner.age.identity);
  const [format = '', header = ''] = (await decrypter.decrypt(armor.decode(sealed), 'text')).split('\n');
  assert.equal(format, 'panda-secrets-sealed-v1');
  assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).name, 'TOKEN');
});
