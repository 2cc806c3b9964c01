import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SealedSecrets } from '../../src/protocol/calls/pilot.ts';
import { DecryptionFailed, InvalidArgument, UnknownFormat } from '../../src/protocol/errors.ts';
import { DELIVERY_FORMATS, type DeliveryContext, KEMS, type Kem, type SealingKey } from '../../src/protocol/sealed.ts';
import { deliverySealer, newRecipient, type Recipient } from '../../src/sealing/delivery.ts';
import { hpkeSuite } from '../../src/sealing/hpke-suites.ts';
import { noHybrid, noKem } from './kems.ts';
import { ofEarlierPilot, sealDelivery } from './seal.ts';
import { fromHex, readVectors } from './vectors.ts';

interface DeliveryVector {
  privateKey: string;
  offers: SealingKey[];
  context: DeliveryContext;
  plaintext: string;
  sealed: SealedSecrets;
}

/** The deliveries of one answer, in format 2. */
interface AnswerVector extends Pick<DeliveryVector, 'privateKey' | 'offers'> {
  deliveries: Omit<DeliveryVector, 'privateKey' | 'offers'>[];
}

interface HpkeVector {
  privateKey: string;
  info: string;
  aad: string;
  enc: string;
  ciphertext: string;
  plaintext: string;
}

const context: DeliveryContext = { jobId: 10_000_001, attempt: 1, ownerId: 'alice', pilotId: 'pilot-1' };
const plaintext = Buffer.from('{"MY_SECRET":"what a secret"}');

function opensAs(recipient: Recipient, sealed: SealedSecrets, changed: Partial<DeliveryContext> = {}) {
  return recipient.open(sealed, { ...context, ...changed });
}

/** The recipient that a vector was made for. */
function recipientOf({ privateKey, offers }: Pick<DeliveryVector, 'privateKey' | 'offers'>): Promise<Recipient> {
  return newRecipient(
    offers.map(({ kem }) => kem),
    async (suite) => ({
      privateKey: await suite.DeserializePrivateKey(fromHex(privateKey)),
      publicKey: await suite.DeserializePublicKey(Buffer.from(offers[0]?.public_key ?? '', 'base64url')),
    }),
  );
}

/** `text` with the character at `index` (counted modulo the length) changed to another one of the alphabet. */
function respelled(text: string, index: number): string {
  const at = index % text.length;
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

test('the suite is that of RFC 9180', async () => {
  const vector = readVectors<HpkeVector>('hpke-rfc9180');
  const suite = hpkeSuite('X25519');
  const privateKey = await suite.DeserializePrivateKey(fromHex(vector.privateKey), true);
  const opened = await suite.Open(privateKey, fromHex(vector.enc), fromHex(vector.ciphertext), {
    info: fromHex(vector.info),
    aad: fromHex(vector.aad),
  });
  assert.deepEqual(Buffer.from(opened), fromHex(vector.plaintext));
});

test('deliveries are recorded for each kem', () => {
  const [single, together] = [readVectors<DeliveryVector[]>('delivery'), readVectors<AnswerVector[]>('deliveries')];
  assert.deepEqual(new Set(single.map(({ sealed }) => sealed.kem)), new Set(KEMS));
  assert.deepEqual(new Set(together.map(({ offers }) => offers[0]?.kem)), new Set(KEMS));
});

for (const kem of KEMS) {
  test(`the recorded deliveries by ${kem} open`, { skip: noKem(kem) }, async () => {
    for (const vector of readVectors<DeliveryVector[]>('delivery').filter(({ sealed }) => sealed.kem === kem)) {
      const recipient = await recipientOf(vector);
      assert.deepEqual(ofEarlierPilot(recipient.offers), vector.offers);
      const opened = await recipient.open(vector.sealed, vector.context);
      assert.equal(Buffer.from(opened).toString(), vector.plaintext);
    }
  });

  test(`the recorded deliveries of an answer by ${kem} open one by one`, { skip: noKem(kem) }, async () => {
    for (const vector of readVectors<AnswerVector[]>('deliveries').filter(({ offers }) => offers[0]?.kem === kem)) {
      for (const { sealed, context: own, plaintext: text } of vector.deliveries.toReversed()) {
        // Each in a process of its own, say: nothing is left of the one before.
        const recipient = await recipientOf(vector);
        assert.deepEqual(recipient.offers, vector.offers);
        assert.equal(Buffer.from(await recipient.open(sealed, own)).toString(), text);
      }
    }
  });
}

test('the post-quantum hybrid is chosen where both ends have it, whatever the order of the offers', {
  skip: noHybrid,
}, async () => {
  const recipient = await newRecipient();
  assert.deepEqual(
    recipient.offers.map(({ kem }) => kem),
    KEMS,
  );
  const sealed = await sealDelivery(recipient.offers.toReversed(), context, plaintext);
  assert.equal(sealed.kem, 'MLKEM768-X25519');
});

const KINDS = KEMS.flatMap((kem) => DELIVERY_FORMATS.map((format) => ({ kem, format })));

for (const { kem, format } of KINDS) {
  const offersOf = ({ offers }: Recipient) => (format === 1 ? ofEarlierPilot(offers) : offers);

  test(`a delivery by ${kem} in format ${format} opens for the attempt that it was sealed for`, {
    skip: noKem(kem),
  }, async () => {
    const recipient = await newRecipient([kem]);
    const sealed = await sealDelivery(offersOf(recipient), context, plaintext);
    assert.deepEqual([sealed.kem, sealed.format], [kem, format]);
    assert.equal(sealed.owner, 'alice');
    assert.deepEqual(Buffer.from(await opensAs(recipient, sealed)), plaintext);
  });

  test(`a delivery by ${kem} in format ${format} opens for no other job, attempt, owner or pilot`, {
    skip: noKem(kem),
  }, async () => {
    const recipient = await newRecipient([kem]);
    const sealed = await sealDelivery(offersOf(recipient), context, plaintext);
    const others = [{ jobId: 10_000_002 }, { attempt: 2 }, { ownerId: 'bob' }, { pilotId: 'pilot-2' }];
    for (const other of others) await assert.rejects(opensAs(recipient, sealed, other), DecryptionFailed);
    await assert.rejects(opensAs(recipient, { ...sealed, owner: 'bob' }), DecryptionFailed);
    await assert.rejects(opensAs(recipient, { ...sealed, owner: 'bob' }, { ownerId: 'bob' }), DecryptionFailed);
  });

  test(`a delivery by ${kem} in format ${format} does not open once a letter of it was changed`, {
    skip: noKem(kem),
  }, async () => {
    const recipient = await newRecipient([kem]);
    const sealed = await sealDelivery(offersOf(recipient), context, plaintext);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('enc' as const, 'ciphertext' as const), fc.nat(), async (part, index) => {
        const changed = { ...sealed, [part]: respelled(sealed[part], index) };
        await assert.rejects(opensAs(recipient, changed), DecryptionFailed);
      }),
      { numRuns: 50 },
    );
  });

  test(`a delivery by ${kem} in format ${format} that was cut, respelled or emptied does not open`, {
    skip: noKem(kem),
  }, async () => {
    const recipient = await newRecipient([kem]);
    const sealed = await sealDelivery(offersOf(recipient), context, plaintext);
    for (const part of ['enc', 'ciphertext'] as const) {
      for (const text of ['', 'AAAA', '!', sealed[part].slice(0, -4), `${sealed[part]}=`, `${sealed[part]}AAAA`]) {
        await assert.rejects(opensAs(recipient, { ...sealed, [part]: text }), DecryptionFailed);
      }
      await assert.rejects(opensAs(recipient, { ...sealed, [part]: undefined as unknown as string }), DecryptionFailed);
    }
  });
}

for (const kem of KEMS) {
  test(`what is no ${kem} public key is refused`, { skip: noKem(kem) }, async () => {
    const length = hpkeSuite(kem).KEM.Npk;
    const none = [
      '',
      '!',
      'AAAA',
      Buffer.alloc(length).toString('base64url'),
      Buffer.alloc(length, 1).toString('base64'),
    ];
    for (const public_key of none) {
      await assert.rejects(sealDelivery([{ kem, public_key }], context, plaintext), {
        code: 'ERR_INVALID_ARGUMENT',
        message: new RegExp(`offered ${kem} key`),
      });
    }
  });
}

test('a hybrid public key of which one part is bad is refused, whichever it is', { skip: noHybrid }, async () => {
  const kem = 'MLKEM768-X25519';
  const [offer] = (await newRecipient([kem])).offers;
  const good = Buffer.from(offer?.public_key ?? '', 'base64url');
  // Coefficients of ML-KEM are below 3329; all secrets shared with the point 0 of X25519 are 0.
  const tooLarge = Buffer.concat([Buffer.alloc(3, 0xff), good.subarray(3)]);
  const ofLowOrder = Buffer.concat([good.subarray(0, -32), Buffer.alloc(32)]);
  for (const formats of [undefined, [2]]) {
    for (const bad of [tooLarge, ofLowOrder]) {
      const offered = { kem, public_key: bad.toString('base64url'), formats } as const;
      await assert.rejects(sealDelivery([offered as never], context, plaintext), { code: 'ERR_INVALID_ARGUMENT' });
    }
  }
});

test('a delivery does not open for the next request of the same pilot', async () => {
  const [first, second] = [await newRecipient(), await newRecipient()];
  const sealed = await sealDelivery(first.offers, context, plaintext);
  await assert.rejects(opensAs(second, sealed), DecryptionFailed);
});

test('a delivery whose kem was swapped does not open', { skip: noHybrid }, async () => {
  const both = await newRecipient();
  const sealed = await sealDelivery(both.offers, context, plaintext);
  await assert.rejects(opensAs(both, { ...sealed, kem: 'X25519' }), DecryptionFailed);
  await assert.rejects(opensAs(await newRecipient(['X25519']), sealed), DecryptionFailed);
  await assert.rejects(opensAs(both, { ...sealed, kem: 'constructor' as Kem }), DecryptionFailed);
});

test('taking the stronger offer out on the way gives a delivery that does not open', { skip: noHybrid }, async () => {
  const recipient = await newRecipient();
  const weaker = recipient.offers.filter(({ kem }) => kem === 'X25519');
  await assert.rejects(opensAs(recipient, await sealDelivery(weaker, context, plaintext)), DecryptionFailed);
});

test('a delivery of a later release is named as such', async () => {
  const recipient = await newRecipient();
  const sealed = await sealDelivery(recipient.offers, context, plaintext);
  await assert.rejects(opensAs(recipient, { ...sealed, format: 3 as 2 }), UnknownFormat);
});

test('the format is one that the pilot says it opens, and 1 where it says nothing', async () => {
  const recipient = await newRecipient();
  const sealedFor = async (formats: number[]) =>
    (
      await sealDelivery(
        ofEarlierPilot(recipient.offers).map((offer) => ({ ...offer, formats })),
        context,
        plaintext,
      )
    ).format;
  assert.deepEqual([await sealedFor([]), await sealedFor([1]), await sealedFor([3, 1])], [1, 1, 1]);
  assert.deepEqual([await sealedFor([2]), await sealedFor([1, 2, 3])], [2, 2]);
  const [earlier] = [await sealDelivery(ofEarlierPilot(recipient.offers), context, plaintext)];
  assert.deepEqual(Buffer.from(await opensAs(recipient, earlier)), plaintext);
  await assert.rejects(opensAs(recipient, { ...earlier, format: 2 }), DecryptionFailed);
});

test('an offer of a kem that is not known yet is passed over', async () => {
  const { offers } = await newRecipient(['X25519']);
  const newer = { kem: 'MLKEM1024-P384' as Kem, public_key: 'AAAA' };
  assert.equal((await sealDelivery([newer, ...offers], context, plaintext)).kem, 'X25519');
  await assert.rejects(sealDelivery([newer], context, plaintext), InvalidArgument);
});

test('without an offer, or with two of one kem, nothing is sealed', async () => {
  const { offers } = await newRecipient(['X25519']);
  await assert.rejects(sealDelivery([], context, plaintext), InvalidArgument);
  await assert.rejects(sealDelivery([...offers, ...offers], context, plaintext), InvalidArgument);
});

test('fields that run together in another way are another binding', async () => {
  const recipient = await newRecipient(['X25519']);
  const sealed = await sealDelivery(recipient.offers, { ...context, jobId: 11, attempt: 1 }, plaintext);
  await assert.rejects(opensAs(recipient, sealed, { jobId: 1, attempt: 11 }), DecryptionFailed);
});

/** The deliveries of one answer to three jobs: two of alice's, and one of bob's. */
async function answerOf(recipient: Recipient) {
  const jobs = [context, { ...context, jobId: 10_000_002 }, { ...context, jobId: 10_000_003, ownerId: 'bob' }];
  const sealer = await deliverySealer(recipient.offers);
  const deliveries = jobs.map(async (job) => {
    const text = `secrets of ${job.jobId}`;
    return { job, text, sealed: await sealer.seal(job, Buffer.from(text)) };
  });
  return Promise.all(deliveries);
}

type Deliveries = Awaited<ReturnType<typeof answerOf>>;

test('the jobs of an answer share one encapsulation, and each opens by itself in whatever order', async () => {
  const recipient = await newRecipient();
  const deliveries = await answerOf(recipient);
  assert.equal(new Set(deliveries.map(({ sealed }) => sealed.enc)).size, 1);
  for (const { job, text, sealed } of [...deliveries.toReversed(), ...deliveries]) {
    assert.equal(Buffer.from(await recipient.open(sealed, job)).toString(), text);
  }
});

test("no job of an answer opens another's secrets, whatever of the two is put together", async () => {
  const recipient = await newRecipient();
  const deliveries = await answerOf(recipient);
  for (const { job } of deliveries) {
    for (const { job: other, sealed } of deliveries) {
      if (job === other) continue;
      await assert.rejects(recipient.open(sealed, job), DecryptionFailed);
      await assert.rejects(recipient.open({ ...sealed, owner: job.ownerId }, job), DecryptionFailed);
    }
  }
});

test('a job whose secrets were dropped takes no other with it, and the secrets of another answer do not take their place', async () => {
  const recipient = await newRecipient();
  const [first, , last] = (await answerOf(recipient)) as [Deliveries[0], Deliveries[0], Deliveries[0]];
  assert.equal(Buffer.from(await recipient.open(last.sealed, last.job)).toString(), last.text);

  const [replayed] = (await answerOf(await newRecipient())) as [Deliveries[0]];
  await assert.rejects(recipient.open(replayed.sealed, first.job), DecryptionFailed);
  const mixed = { ...first.sealed, enc: replayed.sealed.enc };
  await assert.rejects(recipient.open(mixed, first.job), DecryptionFailed);
  await assert.rejects(
    recipient.open({ ...first.sealed, ciphertext: replayed.sealed.ciphertext }, first.job),
    DecryptionFailed,
  );
  assert.equal(Buffer.from(await recipient.open(first.sealed, first.job)).toString(), first.text);
});

test('the offers of two pilots put together, or cut short, give an answer that neither opens', {
  skip: noHybrid,
}, async () => {
  const [mine, theirs] = [await newRecipient(), await newRecipient()];
  const lists = [
    mine.offers.slice(0, 1),
    mine.offers.slice(1),
    [...mine.offers.slice(0, 1), ...theirs.offers.slice(1)],
  ];
  for (const offers of lists) {
    const sealed = await sealDelivery(offers, context, plaintext);
    assert.equal(sealed.format, 2);
    await assert.rejects(opensAs(mine, sealed), DecryptionFailed);
    await assert.rejects(opensAs(theirs, sealed), DecryptionFailed);
  }
});
