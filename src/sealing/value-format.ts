import { DecryptionFailed } from '../protocol/errors.ts';
import { LENGTH_BYTES, lengthPrefixed } from '../protocol/length-prefixed.ts';
import type { WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import type { AttributeName, Attributes } from '../protocol/secret-attributes.ts';
import { BOX_FORMAT, openBox, sealBox } from './box.ts';
import { type DataKey, NAME_HASH_BYTES } from './data-key.ts';

/** One version of one secret, as its row names it. */
export interface ValuePlace {
  /** `hashName` of the secret's name under the same data key: 32 bytes. */
  nameHash: Uint8Array;
  /** Version number, from 1 to 2^32 - 1. */
  version: number;
  /** The attributes as the row has them; none when left out. */
  attributes?: Partial<Attributes>;
}

/** Where a name stands: what all versions of the secret have in common. */
export type NamePlace = Omit<ValuePlace, 'version'>;

/** A secret as its owner sees it. */
export interface NamedValue {
  name: WireName;
  value: Plaintext;
}

/**
 * The attributes that the boxes of this format are bound to, in this order. One that is not set adds nothing, so that a new one
 * at the end leaves the boxes of every secret that does not carry it as they were. None is ever moved or taken away.
 *
 * @internal for its test
 */
export const BOUND_ATTRIBUTES: readonly AttributeName[] = ['queues', 'mask', 'expires'];

const NAME_LENGTH_BYTES = 2;
const VERSION_BYTES = 4;
const FORMAT = Uint8Array.of(BOX_FORMAT);
const NAME_FIELDS = lengthPrefixed('panda-secrets name', FORMAT, new Uint8Array(NAME_HASH_BYTES));
const VALUE_FIELDS = lengthPrefixed(
  'panda-secrets value',
  FORMAT,
  new Uint8Array(NAME_HASH_BYTES),
  new Uint8Array(VERSION_BYTES),
);

/**
 * Encrypts a version of a secret: a box (`box.ts`) of the name's length (16 bits, big-endian), the name and the value, both
 * UTF-8. It is bound to its owner, data key, name, version and attributes, so that it opens in no other row and in none
 * whose attributes were changed.
 *
 * @param secret the name must be the one that `place.nameHash` was made of, of either kind
 */
export function sealValue(dataKey: DataKey, place: ValuePlace, { name, value }: NamedValue): Buffer {
  const nameBytes = Buffer.byteLength(name, 'utf8');
  const revealed = value.reveal();
  // Not from Buffer's shared pool, where a plaintext would stay for the next taker.
  const plaintext = Buffer.alloc(NAME_LENGTH_BYTES + nameBytes + Buffer.byteLength(revealed, 'utf8'));
  plaintext.writeUInt16BE(nameBytes, 0);
  plaintext.write(name, NAME_LENGTH_BYTES, 'utf8');
  plaintext.write(revealed, NAME_LENGTH_BYTES + nameBytes, 'utf8');
  const sealed = sealBox(dataKey.valueKey, valueBinding(dataKey, place), plaintext);
  plaintext.fill(0);
  return sealed;
}

/**
 * Opens what {@link sealValue} made for the same data key and place. A few microseconds for 1 kB, nearly all of them in
 * OpenSSL's set-up.
 *
 * @throws {UnknownFormat} when the first byte is of another version
 * @throws {DecryptionFailed} when it was changed or cut, or stands in another owner's, name's or version's row
 */
export function openValue(dataKey: DataKey, place: ValuePlace, ciphertext: Uint8Array): NamedValue {
  const plaintext = openBox(dataKey.valueKey, valueBinding(dataKey, place), ciphertext, 'a secret');
  const valueStart = NAME_LENGTH_BYTES + plaintext.readUInt16BE(0);
  const name = plaintext.toString('utf8', NAME_LENGTH_BYTES, valueStart) as WireName;
  const value = new Plaintext(plaintext.toString('utf8', valueStart));
  plaintext.fill(0);
  return { name, value };
}

/** Encrypts a name by itself, so that an owner's names can be listed without opening values. */
export function sealName(dataKey: DataKey, place: NamePlace, name: WireName): Buffer {
  return sealBox(dataKey.valueKey, nameBinding(dataKey, place), Buffer.from(name, 'utf8'));
}

/**
 * Opens what {@link sealName} made for the same data key and name.
 *
 * @throws {UnknownFormat} {@link openValue}
 * @throws {DecryptionFailed} {@link openValue}
 */
export function openName(dataKey: DataKey, place: NamePlace, ciphertext: Uint8Array): WireName {
  const plaintext = openBox(dataKey.valueKey, nameBinding(dataKey, place), ciphertext, "a secret's name");
  return plaintext.toString('utf8') as WireName;
}

/**
 * The associated data of a value: owner, data key, use, format, name hash and version, then name and text of each attribute that
 * is set, every field with its length in front. Put together by hand into what `lengthPrefixed` gives for them, because one answer opens
 * many values.
 */
function valueBinding({ context }: DataKey, { nameHash, version, attributes }: ValuePlace): Buffer {
  if (nameHash.length !== NAME_HASH_BYTES || version >>> 0 !== version) {
    throw new DecryptionFailed('the row of a secret is damaged: its name hash or version number is out of range');
  }
  const binding = Buffer.allocUnsafe(context.length + VALUE_FIELDS.length);
  binding.set(context);
  binding.set(VALUE_FIELDS, context.length);
  binding.set(nameHash, binding.length - VERSION_BYTES - LENGTH_BYTES - NAME_HASH_BYTES);
  binding.writeUInt32BE(version, binding.length - VERSION_BYTES);
  return withAttributes(binding, attributes);
}

function nameBinding({ context }: DataKey, { nameHash, attributes }: NamePlace): Buffer {
  if (nameHash.length !== NAME_HASH_BYTES) {
    throw new DecryptionFailed('the row of a secret is damaged: its name hash is out of range');
  }
  const binding = Buffer.allocUnsafe(context.length + NAME_FIELDS.length);
  binding.set(context);
  binding.set(NAME_FIELDS, context.length);
  binding.set(nameHash, binding.length - NAME_HASH_BYTES);
  return withAttributes(binding, attributes);
}

function withAttributes(binding: Buffer, attributes: Partial<Attributes> = {}): Buffer {
  let bound = binding;
  for (const name of BOUND_ATTRIBUTES) {
    const text = attributes[name];
    if (text !== null && text !== undefined) bound = Buffer.concat([bound, lengthPrefixed(name, text)]);
  }
  return bound;
}
