import { DecapError, DeserializeError, EncapError, NotSupportedError, OpenError } from 'hpke';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import type { SealedSecrets } from '../protocol/calls/pilot.ts';
import { DecryptionFailed, InvalidArgument, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { type DeliveryContext, KEMS, type Kem, type SealingKey } from '../protocol/sealed.ts';
import { type CipherSuite, hpkeSuite, type KeyPair } from './hpke-suites.ts';

const FORMAT = 1;

/** The pilot's end of one request: the private keys live in it and go with it. */
export interface Recipient {
  /** One public key per KEM, strongest first: what the request carries, as it is and in this order. */
  readonly offers: SealingKey[];
  /**
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
    offers.push({ kem, public_key: toBase64url(await suite.SerializePublicKey(keyPair.publicKey)) });
  }
  return {
    offers,
    async open(sealed, context) {
      if (sealed.format !== FORMAT) {
        throw new UnknownFormat(
          `the delivery has format ${sealed.format}; this release knows format ${FORMAT}: update it`,
        );
      }
      const own = keyPairs.get(sealed.kem);
      if (!own) throw new DecryptionFailed('the delivery is sealed to a key that this request did not offer');
      if (sealed.owner !== context.ownerId)
        throw new DecryptionFailed("the delivery is sealed for another owner's job");
      const enc = fromBase64url(sealed.enc);
      const ciphertext = fromBase64url(sealed.ciphertext);
      if (!enc || !ciphertext) throw new DecryptionFailed('the delivery is not base64url');
      const binding = bind(context, sealed.kem, offers);
      try {
        return await own.suite.Open(own.keyPair, enc, ciphertext, { info: binding, aad: binding });
      } catch (error) {
        if (!(error instanceof DecapError || error instanceof OpenError)) throw error;
        throw new DecryptionFailed(
          'the delivery does not open: it was changed, or made for another request, attempt, owner or pilot',
        );
      }
    },
  };
}

/**
 * Seals a job's secrets to the strongest of the offered keys (HPKE base mode, one message; see `KEMS` for the order). An
 * offer of a KEM that this release does not know is passed over, so that a newer pilot may offer more.
 *
 * The seal also covers the whole list of offers as it arrived, so that taking the stronger one out on the way is noticed
 * (docs/decisions/0002-delivery-binds-the-offers.md).
 *
 * @throws {InvalidArgument} when no offer can be used, one is malformed, or a KEM is offered twice
 */
export async function sealDelivery(
  offers: readonly SealingKey[],
  context: DeliveryContext,
  plaintext: Uint8Array,
): Promise<SealedSecrets> {
  for (const kem of KEMS) {
    const offered = offers.filter((offer) => offer.kem === kem);
    if (offered.length > 1) throw new InvalidArgument(`more than one ${kem} key is offered; offer one for each kem`);
    const [offer] = offered;
    const sealed = offer && (await ifSupported(() => sealTo(offer, bind(context, kem, offers), plaintext)));
    if (sealed) return { format: FORMAT, kem, owner: context.ownerId, ...sealed };
  }
  throw new InvalidArgument(`no public key is offered whose kem this server knows; it knows ${KEMS.join(' and ')}`);
}

async function sealTo(
  { kem, public_key }: SealingKey,
  binding: Uint8Array,
  plaintext: Uint8Array,
): Promise<{ enc: string; ciphertext: string }> {
  const suite = hpkeSuite(kem);
  const bytes = fromBase64url(public_key);
  if (bytes?.length !== suite.KEM.Npk) {
    throw new InvalidArgument(`an offered ${kem} key must be ${suite.KEM.Npk} bytes in base64url without padding`);
  }
  try {
    const publicKey = await suite.DeserializePublicKey(bytes);
    const sealed = await suite.Seal(publicKey, plaintext, { info: binding, aad: binding });
    return { enc: toBase64url(sealed.encapsulatedSecret), ciphertext: toBase64url(sealed.ciphertext) };
  } catch (error) {
    if (!(error instanceof DeserializeError || error instanceof EncapError)) throw error;
    throw new InvalidArgument(`an offered ${kem} key is not a valid public key`);
  }
}

/** HPKE's `info`, and the associated data once more. */
function bind(context: DeliveryContext, kem: Kem, offers: readonly SealingKey[]): Uint8Array {
  return lengthPrefixed(
    'panda-secrets delivery',
    Uint8Array.of(FORMAT),
    kem,
    String(context.jobId),
    String(context.attempt),
    context.ownerId,
    context.pilotId,
    lengthPrefixed(...offers.flatMap((offer) => [offer.kem, offer.public_key])),
  );
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
