import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';

/** The purpose of a signature: one of one type proves nothing of another. */
export type SignedType = 'value' | 'grant' | 'site' | 'result';

/** An Ed25519 key pair. */
export interface Signer {
  privateKey: KeyObject;
  /** 32 bytes, base64url. */
  publicKey: string;
}

const LABEL = 'panda-secrets/v1/signed';
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** The bytes before the seed in PKCS #8 (RFC 8410, section 7). */
const PRIVATE_KEY_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** @param seed 32 secret bytes (RFC 8032, section 5.1.5) */
export function signerOf(seed: Uint8Array): Signer {
  const der = Buffer.concat([PRIVATE_KEY_HEAD, seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicKey: x };
}

/** The signature of a payload: 64 bytes. */
export function signatureOf(signer: Signer, type: SignedType, payload: Uint8Array): Buffer {
  return sign(null, lengthPrefixed(LABEL, type, payload), signer.privateKey);
}

/** False also for a public key that is no key, or one of small order, under which one signature fits many messages. */
export function isSignedBy(publicKey: string, type: SignedType, payload: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(publicKey);
  if (!key || signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verify(null, lengthPrefixed(LABEL, type, payload), key, signature);
  } catch {
    return false;
  }
}

/** A payload with its signature, as one word: `b64u(payload) "." b64u(signature)`. */
export function signed(signer: Signer, type: SignedType, payload: Uint8Array): string {
  return `${toBase64url(payload)}.${toBase64url(signatureOf(signer, type, payload))}`;
}

/** Takes such a word apart, and checks nothing else. Undefined when it is not one, in its one spelling. */
export function takeApart(word: string): { payload: Buffer; signature: Buffer } | undefined {
  const dot = word.indexOf('.');
  const payload = fromBase64url(word.slice(0, Math.max(0, dot)));
  const signature = fromBase64url(word.slice(dot + 1));
  return dot > 0 && payload && signature?.length === SIGNATURE_BYTES ? { payload, signature } : undefined;
}

/** Tells if it is the one spelling of a public key that may sign. */
export function isPublicKey(text: string): boolean {
  const bytes = fromBase64url(text);
  return bytes?.length === PUBLIC_KEY_BYTES && isReduced(bytes) && !isSmallOrder(bytes);
}

function publicKeyOf(text: string): KeyObject | undefined {
  if (!isPublicKey(text)) return undefined;
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** The y of the point is below 2^255 - 19: another number would be a second spelling of the same key. */
function isReduced(bytes: Uint8Array): boolean {
  const [first = 0, ...others] = bytes;
  const last = (others.pop() ?? 0) & 0x7f;
  return !(last === 0x7f && others.every((byte) => byte === 0xff) && first >= 0xed);
}

/** The y of the eight points whose order divides the cofactor, hex: the sign of x does not matter. */
const SMALL_ORDER = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

function isSmallOrder(bytes: Uint8Array): boolean {
  const y = Buffer.from(bytes);
  y.writeUInt8(y.readUInt8(PUBLIC_KEY_BYTES - 1) & 0x7f, PUBLIC_KEY_BYTES - 1);
  return SMALL_ORDER.has(y.toString('hex'));
}
