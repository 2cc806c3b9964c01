import { createSecretKey, type KeyObject } from 'node:crypto';
import { DecapError, DeserializeError, EncapError, NotSupportedError, OpenError } from 'hpke';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import type { SealedSecrets } from '../protocol/calls/pilot.ts';
import { DecryptionFailed, InvalidArgument, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import {
  DELIVERY_FORMATS,
  type DeliveryContext,
  type DeliveryFormat,
  KEMS,
  type Kem,
  type SealingKey,
} from '../protocol/sealed.ts';
import { openBox, sealBox } from './box.ts';
import { type CipherSuite, hpkeSuite, type KeyPair, senderSuite } from './hpke-suites.ts';

/*
 * A delivery is sealed by HPKE (RFC 9180, base mode), in one of two formats (docs/decisions/0046-one-encapsulation-for-an-answer.md):
 *
 *     1  one message of its own: an encapsulation for each job
 *     2  one encapsulation for all jobs of an answer; each job's secrets in a box under a key that HPKE exports for that job alone
 */

/** The pilot's end of one request: the private keys live in it and go with it. */
export interface Recipient {
  /** One public key per KEM, strongest first: what the request carries, as it is and in this order. */
  readonly offers: SealingKey[];
  /**
   * Opens the secrets of one job of the answer, in any order.
   *
   * @param context known to the pilot: the attempt that it was given, its own id, and the owner that the job belongs to
   * @throws {DecryptionFailed} when the envelope was made for another request, attempt, owner or pilot, or was changed
   * @throws {UnknownFormat} when a later release made it
   */
  open(sealed: SealedSecrets, context: DeliveryContext): Promise<Uint8Array>;
}

/**
 * Fresh key pairs for one request. A KEM that this runtime lacks is left out.
 *
 * @param makeKeyPair where key pairs come from: only a test that needs a known one gives it
 */
export async function newRecipient(
  kems: readonly Kem[] = KEMS,
  makeKeyPair: (suite: CipherSuite) => Promise<KeyPair> = (suite) => suite.GenerateKeyPair(false),
): Promise<Recipient> {
  const keyPairs = new Map<string, { suite: CipherSuite; keyPair: KeyPair }>();
  const offers: SealingKey[] = [];
  for (const kem of KEMS.filter((known) => kems.includes(known))) {
    const suite = hpkeSuite(kem);
    const keyPair = await ifSupported(() => makeKeyPair(suite));
    if (!keyPair) continue;
    keyPairs.set(kem, { suite, keyPair });
    const public_key = toBase64url(await suite.SerializePublicKey(keyPair.publicKey));
    offers.push({ kem, public_key, formats: [...DELIVERY_FORMATS] });
  }
  /** The last one: all jobs of an answer have the same. */
  let decapsulated: { kem: Kem; enc: string; exporter: Promise<Exporter> } | undefined;

  function exporterOf({ kem, enc: text }: SealedSecrets, own: OwnKey, enc: Uint8Array): Promise<Exporter> {
    if (decapsulated?.enc !== text || decapsulated.kem !== kem) {
      const info = bindAnswer(kem, offers);
      decapsulated = { kem, enc: text, exporter: own.suite.SetupRecipient(own.keyPair, enc, { info }) };
    }
    return decapsulated.exporter;
  }

  return {
    offers,
    async open(sealed, context) {
      const { format, kem } = sealed;
      if (!DELIVERY_FORMATS.includes(format)) {
        throw new UnknownFormat(
          `the delivery has format ${format}; this release knows formats ${DELIVERY_FORMATS.join(' and ')}: update it`,
        );
      }
      const own = keyPairs.get(kem);
      if (!own) throw new DecryptionFailed('the delivery is sealed to a key that this request did not offer');
      if (sealed.owner !== context.ownerId)
        throw new DecryptionFailed("the delivery is sealed for another owner's job");
      const enc = fromBase64url(sealed.enc);
      const ciphertext = fromBase64url(sealed.ciphertext);
      if (!enc || !ciphertext) throw new DecryptionFailed('the delivery is not base64url');
      const binding = bindJob(format, context, kem, offers);
      try {
        if (format === 1) return await own.suite.Open(own.keyPair, enc, ciphertext, { info: binding, aad: binding });
        const key = await exportKey(await exporterOf(sealed, own, enc), binding);
        return openBox(key, binding, ciphertext, 'the delivery');
      } catch (error) {
        if (!NOT_OPENED.some((kind) => error instanceof kind)) throw error;
        throw new DecryptionFailed(
          'the delivery does not open: it was changed, or made for another request, attempt, owner or pilot',
        );
      }
    },
  };
}

interface OwnKey {
  suite: CipherSuite;
  keyPair: KeyPair;
}

const NOT_OPENED = [DecapError, OpenError, DecryptionFailed, UnknownFormat];

/** The server's end of one answer. */
export interface DeliverySealer {
  /** @throws {InvalidArgument} when the secret shared with the offered key is known to all: no honest pilot makes such a key */
  seal(context: DeliveryContext, plaintext: Uint8Array): Promise<SealedSecrets>;
}

/**
 * Seals the secrets of the jobs of one answer to the strongest of the offered keys (see `KEMS` for the order), in the newest format that its
 * pilot knows. An offer of a KEM that this release does not know is passed over, so that a newer pilot may offer more.
 *
 * The seal also covers the whole list of offers as it arrived, so that taking the stronger one out on the way is noticed
 * (docs/decisions/0002-delivery-binds-the-offers.md).
 *
 * @throws {InvalidArgument} when no offer can be used, the one to be used is malformed, or its KEM is offered twice
 */
export async function deliverySealer(offers: readonly SealingKey[]): Promise<DeliverySealer> {
  const { kem, format, seal } = await chooseKey(offers);
  return {
    async seal(context, plaintext) {
      return { format, kem, owner: context.ownerId, ...(await seal(bindJob(format, context, kem, offers), plaintext)) };
    },
  };
}

interface ChosenKey {
  kem: Kem;
  format: DeliveryFormat;
  seal(binding: Uint8Array, plaintext: Uint8Array): Promise<{ enc: string; ciphertext: string }>;
}

async function chooseKey(offers: readonly SealingKey[]): Promise<ChosenKey> {
  for (const kem of KEMS) {
    const offered = offers.filter((offer) => offer.kem === kem);
    if (offered.length > 1) throw new InvalidArgument(`more than one ${kem} key is offered; offer one for each kem`);
    const [offer] = offered;
    const chosen = offer && (await ifSupported(() => sealingTo(offer, offers)));
    if (chosen) return chosen;
  }
  throw new InvalidArgument(`no public key is offered whose kem this server knows; it knows ${KEMS.join(' and ')}`);
}

async function sealingTo({ kem, public_key, formats }: SealingKey, offers: readonly SealingKey[]): Promise<ChosenKey> {
  const suite = senderSuite(kem);
  const bytes = fromBase64url(public_key);
  if (bytes?.length !== suite.KEM.Npk) {
    throw new InvalidArgument(`an offered ${kem} key must be ${suite.KEM.Npk} bytes in base64url without padding`);
  }
  const publicKey = await ofGoodKey(kem, () => suite.DeserializePublicKey(bytes));
  if (!formats?.includes(2)) {
    return {
      kem,
      format: 1,
      async seal(binding, plaintext) {
        const options = { info: binding, aad: binding };
        const sealed = await ofGoodKey(kem, () => suite.Seal(publicKey, plaintext, options));
        return { enc: toBase64url(sealed.encapsulatedSecret), ciphertext: toBase64url(sealed.ciphertext) };
      },
    };
  }
  const info = bindAnswer(kem, offers);
  /** Once the first job has something to seal: most of the cost is here. */
  let sender: ReturnType<typeof suite.SetupSender> | undefined;
  return {
    kem,
    format: 2,
    async seal(binding, plaintext) {
      sender ??= ofGoodKey(kem, () => suite.SetupSender(publicKey, { info }));
      const { encapsulatedSecret, ctx } = await sender;
      const box = sealBox(await exportKey(ctx, binding), binding, plaintext);
      return { enc: toBase64url(encapsulatedSecret), ciphertext: box.toString('base64url') };
    },
  };
}

async function ofGoodKey<T>(kem: Kem, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!(error instanceof DeserializeError || error instanceof EncapError)) throw error;
    throw new InvalidArgument(`an offered ${kem} key is not a valid public key`);
  }
}

/** Either end of one encapsulation. */
interface Exporter {
  Export(context: Uint8Array, length: number): Promise<Uint8Array>;
}

const KEY_BYTES = 32;

/** The key of one job: whoever has another job's, or this answer's ciphertexts, has nothing of it. */
async function exportKey(exporter: Exporter, binding: Uint8Array): Promise<KeyObject> {
  const bytes = await exporter.Export(binding, KEY_BYTES);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/**
 * Format 1: HPKE's `info`, and the associated data once more. Format 2: the exporter's context, and the associated data; the offers are in
 * `info` there.
 */
function bindJob(
  format: DeliveryFormat,
  context: DeliveryContext,
  kem: Kem,
  offers: readonly SealingKey[],
): Uint8Array {
  return lengthPrefixed(
    'panda-secrets delivery',
    Uint8Array.of(format),
    kem,
    String(context.jobId),
    String(context.attempt),
    context.ownerId,
    context.pilotId,
    ...(format === 1 ? [bindOffers(offers)] : []),
  );
}

/** HPKE's `info` in format 2. */
function bindAnswer(kem: Kem, offers: readonly SealingKey[]): Uint8Array {
  return lengthPrefixed('panda-secrets deliveries', Uint8Array.of(2), kem, bindOffers(offers));
}

function bindOffers(offers: readonly SealingKey[]): Uint8Array {
  return lengthPrefixed(...offers.flatMap((offer) => [offer.kem, offer.public_key]));
}

/** Node before 24.7 has no ML-KEM. */
async function ifSupported<T>(operation: () => Promise<T>): Promise<T | undefined> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof NotSupportedError) return undefined;
    throw error;
  }
}
