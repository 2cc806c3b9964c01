import crypto, { createPublicKey, diffieHellman, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import { type KEM, KEM_MLKEM768_X25519, type Key } from 'hpke';

/*
 * The sender's end of the KEM MLKEM768-X25519 (draft-ietf-hpke-pq, which is X-Wing) on `node:crypto`, in one go. The library's own calls WebCrypto, where
 * each of its steps is a trip to another thread and back: 60 of the 290 us of CPU that sealing a delivery of 10 kB took. `encapsulate` is not imported by
 * its name, as no module that does loads on a Node without it (before 24.7).
 */

const NAME = 'MLKEM768-X25519';
const ML_KEM_KEY_BYTES = 1184;
/** `\.//^\`, as the draft draws a wing. */
const LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);

/** The library's KEM, with public keys that can be encapsulated to and nothing else. Where this Node cannot do it (before 26), all is the library's. */
export function senderKem(): KEM {
  const own = KEM_MLKEM768_X25519();
  if (!isSupported()) return own;
  return {
    ...own,
    DeserializePublicKey: async (bytes) => new HybridPublicKey(bytes),
    async Encap(key) {
      if (!(key instanceof HybridPublicKey)) throw new TypeError('not a public key that was read here');
      return encapsulateTo(key);
    },
  };
}

/** Throws where one of its parts is no public key. */
class HybridPublicKey implements Key {
  readonly algorithm = { name: NAME };
  readonly extractable = false;
  readonly type = 'public';
  readonly mlKem: KeyObject;
  readonly x25519: KeyObject;
  readonly x25519Bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.mlKem = publicKeyOf('ml-kem-768', bytes.subarray(0, ML_KEM_KEY_BYTES));
    this.x25519Bytes = bytes.subarray(ML_KEM_KEY_BYTES);
    this.x25519 = publicKeyOf('x25519', this.x25519Bytes);
  }
}

/** Throws where the X25519 key is of low order, whose secret everybody knows. */
function encapsulateTo({ mlKem, x25519, x25519Bytes }: HybridPublicKey) {
  const { sharedKey, ciphertext } = crypto.encapsulate(mlKem);
  const ephemeral = generateKeyPairSync('x25519');
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: x25519 });
  const sent = ephemeral.publicKey.export(RAW) as unknown as Buffer;
  const parts = Buffer.concat([sharedKey, secret, sent, x25519Bytes, LABEL]);
  const shared_secret = new Uint8Array(hash('sha3-256', parts, 'buffer'));
  for (const one of [sharedKey, secret, parts]) one.fill(0);
  return { shared_secret, enc: new Uint8Array(Buffer.concat([ciphertext, sent])) };
}

/** Node's types do not know it yet. */
const RAW = { format: 'raw-public' } as never;

function publicKeyOf(type: 'ml-kem-768' | 'x25519', bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(bytes), asymmetricKeyType: type, ...(RAW as object) } as never);
}

function isSupported(): boolean {
  try {
    return (
      typeof crypto.encapsulate === 'function' && publicKeyOf('ml-kem-768', new Uint8Array(ML_KEM_KEY_BYTES)) !== null
    );
  } catch {
    return false;
  }
}
