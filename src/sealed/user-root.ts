import { createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { InvalidArgument } from '../protocol/errors.ts';
import { type AgeKey, ageKeyOf } from '../sealing/hybrid-age.ts';
import { fromCheckedCode, toCheckedCode } from './checked-code.ts';
import { type Signer, signerOf } from './signed.ts';

/** 32 random bytes from which all keys of a user, or of a site's nodes for a queue, are made. */
export type Root = KeyObject;

/** The keys of a user. */
export interface UserKeys {
  /** Opens the user's own sealed secrets. */
  age: AgeKey;
  /** Opens the results that jobs seal for the user. */
  results: AgeKey;
  /** Signs values and grants. */
  signer: Signer;
}

/** The keys of a site's nodes for one queue. */
export interface NodeKeys {
  /** Opens sealed secrets. */
  age: AgeKey;
  /** Signs results. */
  resultSigner: Signer;
}

export const ROOT_BYTES = 32;

export function newRoot(): Root {
  return importRoot(randomBytes(ROOT_BYTES));
}

/** @param bytes 32 of them, which are overwritten */
export function importRoot(bytes: Uint8Array): Root {
  if (bytes.length !== ROOT_BYTES) throw new InvalidArgument(`a root has ${ROOT_BYTES} bytes`);
  const root = createSecretKey(bytes);
  bytes.fill(0);
  return root;
}

export async function userKeysOf(root: Root): Promise<UserKeys> {
  return {
    age: await ageKeyOf(derive(root, 'user/age')),
    results: await ageKeyOf(derive(root, 'user/results')),
    signer: signerOf(derive(root, 'user/sign')),
  };
}

export async function nodeKeysOf(root: Root): Promise<NodeKeys> {
  return { age: await ageKeyOf(derive(root, 'site/age')), resultSigner: signerOf(derive(root, 'site/sign')) };
}

const RECOVERY_LABEL = 'panda-secrets/v1/recovery';

/** The code that a user writes down: 14 groups of four. */
export function recoveryCodeOf(root: Root): string {
  const code = toCheckedCode(RECOVERY_LABEL, root.export());
  return code.match(/.{4}/g)?.join('-') ?? code;
}

/** @throws {InvalidArgument} when it is not one; it is not quoted */
export function rootOfRecoveryCode(code: string): Root {
  const bytes = fromCheckedCode(RECOVERY_LABEL, code);
  if (!bytes) {
    throw new InvalidArgument(
      'this is not a recovery code: it has 14 groups of 4 letters and digits; look for a mistyped one',
    );
  }
  return importRoot(bytes);
}

/** HKDF-SHA-256 (RFC 5869) with an empty salt. */
function derive(root: Root, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', root, new Uint8Array(), `panda-secrets/v1/${purpose}`, ROOT_BYTES));
}
