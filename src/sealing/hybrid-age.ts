import { bech32 } from '@scure/base';
import { type Identity, identityToRecipient, type Recipient, Stanza } from 'age-encryption';
import { CipherSuite, DecapError, KEM_MLKEM768_X25519, NotSupportedError, OpenError } from 'hpke';
import { chaCha20Poly1305, hkdfSha256 } from './hpke-primitives.ts';

/**
 * age's post-quantum recipients (`age1pq1...`, stanzas `mlkem768x25519`) with ML-KEM from Node: a stanza is one HPKE message
 * (MLKEM768-X25519, HKDF-SHA256, ChaCha20-Poly1305) that holds the file key. The library's own take 2 to 5 ms of CPU each.
 */

/** The type of a stanza for one of them. */
export const AGE_STANZA = 'mlkem768x25519';
const INFO = Buffer.from('age-encryption.org/mlkem768x25519');
const RECIPIENT_PREFIX = 'age1pq';
const IDENTITY_PREFIX = 'age-secret-key-pq-';
const RECIPIENT_BYTES = 1216;
const ENCAPSULATED_BYTES = 1120;
const WRAPPED_BYTES = 32;

/** A pair of keys that age files are made to, and opened with. */
export interface AgeKey {
  /** `age1pq1...`, public. */
  recipient: string;
  /** Its text where Node has no ML-KEM (before 24.7): the library has its own. */
  identity: Identity | string;
}

/** @param seed 32 secret bytes, of which age's own form is `AGE-SECRET-KEY-PQ-1...` */
export async function ageKeyOf(seed: Uint8Array): Promise<AgeKey> {
  const text = ageSecretKey(seed);
  return { recipient: await identityToRecipient(text), identity: (await ageIdentity(seed)) ?? text };
}

/** Age's own form of a secret key, for its programs. */
function ageSecretKey(seed: Uint8Array): string {
  return bech32.encodeFromBytes(IDENTITY_PREFIX, seed).toUpperCase();
}

/** Tells if it is the text of a hybrid recipient, in its one spelling. */
export function isAgeRecipient(text: string): boolean {
  return recipientBytes(text) !== undefined;
}

/** The recipient of an age file; the text itself where Node has no ML-KEM. @throws {TypeError} when it is not one */
export async function ageRecipient(text: string): Promise<Recipient | string> {
  const bytes = recipientBytes(text);
  if (!bytes) throw new TypeError('not a hybrid age recipient');
  const suite = newSuite();
  const publicKey = await ifSupported(() => suite.DeserializePublicKey(bytes));
  if (!publicKey) return text;
  return {
    async wrapFileKey(fileKey) {
      const { encapsulatedSecret, ciphertext } = await suite.Seal(publicKey, fileKey, { info: INFO });
      return [new Stanza([AGE_STANZA, unpadded(encapsulatedSecret)], ciphertext)];
    },
  };
}

async function ageIdentity(seed: Uint8Array): Promise<Identity | undefined> {
  const suite = newSuite();
  const privateKey = await ifSupported(() => suite.DeserializePrivateKey(seed, false));
  if (!privateKey) return undefined;
  return {
    async unwrapFileKey(stanzas) {
      for (const { args, body } of stanzas) {
        const [type, encoded = '', ...more] = args;
        if (type !== AGE_STANZA) continue;
        const encapsulated = Buffer.from(encoded, 'base64');
        const isWellFormed =
          more.length === 0 && encapsulated.length === ENCAPSULATED_BYTES && unpadded(encapsulated) === encoded;
        if (!isWellFormed || body.length !== WRAPPED_BYTES) throw new TypeError('a malformed stanza');
        try {
          return await suite.Open(privateKey, encapsulated, body, { info: INFO });
        } catch (error) {
          if (!(error instanceof DecapError || error instanceof OpenError)) throw error;
        }
      }
      return null;
    },
  };
}

function newSuite(): CipherSuite {
  return new CipherSuite(KEM_MLKEM768_X25519, hkdfSha256, chaCha20Poly1305) as CipherSuite;
}

function recipientBytes(text: string): Uint8Array | undefined {
  if (!text.startsWith(`${RECIPIENT_PREFIX}1`)) return undefined;
  const decoded = bech32.decodeUnsafe(text, false);
  if (decoded?.prefix !== RECIPIENT_PREFIX) return undefined;
  const bytes = bech32.fromWordsUnsafe(decoded.words);
  return bytes && bytes.length === RECIPIENT_BYTES ? new Uint8Array(bytes) : undefined;
}

/** The standard alphabet without padding, as age's headers have it. */
function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

async function ifSupported<T>(operation: () => Promise<T>): Promise<T | undefined> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof NotSupportedError) return undefined;
    throw error;
  }
}
