import { armor, Decrypter, Encrypter, Stanza } from 'age-encryption';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { InvalidValue } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import {
  MAX_SEALED_HEADER_BYTES,
  MAX_SEALED_SITES,
  MAX_SEALED_STANZAS,
  MAX_VALUE_BYTES,
  MIN_SEALED_BYTES,
} from '../protocol/limits.ts';
import { parseWireName, type WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { ARMOR_BEGIN, SEALED_STANZA } from '../protocol/sealed-value.ts';
import { AGE_STANZA, type AgeKey, ageRecipient } from '../sealing/hybrid-age.ts';
import { integer, list, object, type Readout, readExact, text, where, writeExact } from './exact-json.ts';
import { isSignedBy, type Signer, signatureOf } from './signed.ts';
import { SITE_ID, type SiteId } from './site-id.ts';
import { PUBLIC_KEY, readOr, type SiteRecord } from './site-record.ts';

const FORMAT = 'panda-secrets-sealed-v1';

/** A secret's name as on the wire. */
export const WIRE_NAME = where(text(512), (name) => {
  try {
    return parseWireName(name) !== '';
  } catch {
    return false;
  }
});

const HEADER = object({
  name: WIRE_NAME,
  /** Chosen by the client that sealed it: later ones are larger. */
  version: integer(1, Number.MAX_SAFE_INTEGER),
  /** The sites that it was sealed for, and the serials of the records that their keys were taken from. */
  sites: list(object({ id: SITE_ID, serial: integer(1, Number.MAX_SAFE_INTEGER) }), MAX_SEALED_SITES),
  /** The owner's signing key. */
  signer: PUBLIC_KEY,
  /** Bytes of the value. */
  length: integer(0, MAX_VALUE_BYTES),
});

/** A secret that is to be sealed. */
export interface Sealing {
  name: WireName;
  version: number;
  value: Plaintext;
  /** Records of sites that the owner trusts: nothing else of them is checked here. */
  sites: readonly SiteRecord[];
}

/** A secret that was opened, and is what its owner sealed. */
export interface OpenedSecret {
  name: WireName;
  version: number;
  sites: readonly { id: SiteId; serial: number }[];
  value: Plaintext;
}

/** The opener's knowledge of a secret. */
export interface ExpectedSecret {
  /** The owner's signing key. */
  signer: string;
  name: string;
  /** The least version. */
  atLeast: number;
  /** The site that opens it; undefined for its owner. */
  site?: SiteId | undefined;
}

/**
 * Seals a value for its owner and for sites: an armoured age file, which `set_user_secrets` takes as any value.
 *
 * @param owner whose keys they are: no recipient comes from elsewhere
 * @throws {InvalidValue} when it would be too large for a value
 */
export async function sealEnvelope(
  owner: { signer: Signer; age: Pick<AgeKey, 'recipient'> },
  { name, version, value, sites }: Sealing,
): Promise<string> {
  const bytes = Buffer.from(value.reveal(), 'utf8');
  const header = writeExact(
    {
      name,
      version,
      sites: sites.map(({ identity, serial }) => ({ id: identity, serial })),
      signer: owner.signer.publicKey,
      length: bytes.length,
    },
    HEADER,
  );
  const signature = signatureOf(owner.signer, 'value', lengthPrefixed(header, bytes));
  const head = Buffer.from(`${FORMAT}\n${toBase64url(header)}\n${toBase64url(signature)}\n`);
  const plaintext = Buffer.alloc(paddedSize(head.length + bytes.length));
  plaintext.set(head);
  plaintext.set(bytes, head.length);
  bytes.fill(0);
  const encrypter = new Encrypter();
  encrypter.addRecipient({ wrapFileKey: () => [new Stanza([SEALED_STANZA], new Uint8Array())] });
  for (const recipient of [owner.age.recipient, ...sites.map((site) => site.recipient)]) {
    encrypter.addRecipient(await ageRecipient(recipient));
  }
  const sealed = armor.encode(await encrypter.encrypt(plaintext).finally(() => plaintext.fill(0)));
  if (sealed.length > MAX_VALUE_BYTES) {
    throw new InvalidValue(
      `sealed, the value takes ${sealed.length} bytes, and ${MAX_VALUE_BYTES} are allowed: some 730 kB can be sealed. ` +
        'Keep larger data elsewhere and make its key the secret',
    );
  }
  return sealed;
}

/**
 * Opens a sealed secret, whole or not at all. Each check comes before what depends on it.
 *
 * @param identities the keys to try, the newest first
 * @throws {SealedRefusal} in this order: `sealed-too-large`, `secret-unreadable`, `secret-format`, `secret-foreign-signer`,
 * `secret-forged`, `secret-swapped`, `secret-other-site`, `secret-old`
 */
export async function openEnvelope(
  sealed: string,
  identities: readonly AgeKey['identity'][],
  expected: ExpectedSecret,
): Promise<OpenedSecret> {
  checkSealedSize(sealed);
  const plaintext = await decrypt(sealed, identities);
  try {
    const { header, headerBytes, signature, value } = takeApart(plaintext);
    if (header.signer !== expected.signer) throw new SealedRefusal('secret-foreign-signer');
    if (!isSignedBy(header.signer, 'value', lengthPrefixed(headerBytes, value), signature)) {
      throw new SealedRefusal('secret-forged');
    }
    if (header.name !== expected.name) throw new SealedRefusal('secret-swapped');
    if (expected.site !== undefined && !header.sites.some(({ id }) => id === expected.site)) {
      throw new SealedRefusal('secret-other-site');
    }
    if (header.version < expected.atLeast) throw new SealedRefusal('secret-old');
    const { version, sites } = header;
    const revealed = readOr('secret-format', () =>
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value),
    );
    return { name: header.name as WireName, version, sites, value: new Plaintext(revealed) };
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Looks at the size and counts the stanzas of what may be a sealed secret, before anything of it is parsed.
 *
 * @throws {SealedRefusal} `sealed-too-large`
 */
export function checkSealedSize(sealed: string): void {
  if (sealed.length > MAX_VALUE_BYTES) throw new SealedRefusal('sealed-too-large');
  const header = headerOf(sealed);
  if (header === undefined || stanzaTypes(header).length > MAX_SEALED_STANZAS) {
    throw new SealedRefusal('sealed-too-large');
  }
}

/** Age's header as text, without its MAC; undefined when none ends within `MAX_SEALED_HEADER_BYTES`. */
function headerOf(sealed: string): string | undefined {
  const lines = sealed.slice(ARMOR_BEGIN.length, ARMOR_BEGIN.length + 2 * MAX_SEALED_HEADER_BYTES);
  const bytes = Buffer.from(lines.replaceAll(/[\r\n]/g, ''), 'base64').subarray(0, MAX_SEALED_HEADER_BYTES);
  const end = bytes.indexOf('\n---');
  return end < 0 ? undefined : bytes.subarray(0, end).toString('latin1');
}

function stanzaTypes(header: string): string[] {
  return Array.from(header.matchAll(/\n-> ([^ \n]*)/g), ([, type = '']) => type);
}

/** A stanza of another kind is for nobody here. */
function hasOwnStanzasAlone(sealed: string): boolean {
  return stanzaTypes(headerOf(sealed) ?? '').every((type) => type === SEALED_STANZA || type === AGE_STANZA);
}

async function decrypt(sealed: string, identities: readonly AgeKey['identity'][]): Promise<Uint8Array> {
  if (!hasOwnStanzasAlone(sealed)) throw new SealedRefusal('secret-format');
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(armor.decode(sealed));
  } catch {
    // The library's errors say little, and nobody else needs to know it.
    throw new SealedRefusal('secret-unreadable');
  }
}

interface Parts {
  header: Readout<typeof HEADER>;
  headerBytes: Uint8Array;
  signature: Uint8Array;
  value: Uint8Array;
}

function takeApart(plaintext: Uint8Array): Parts {
  const refused = new SealedRefusal('secret-format');
  const bytes = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length);
  let at = 0;
  const line = () => {
    const end = bytes.indexOf(10, at);
    if (end < 0 || end - at > MAX_SEALED_HEADER_BYTES) throw refused;
    const found = bytes.toString('latin1', at, end);
    at = end + 1;
    return found;
  };
  if (line() !== FORMAT) throw refused;
  const headerBytes = fromBase64url(line());
  const signature = fromBase64url(line());
  if (!headerBytes || !signature) throw refused;
  const header = readOr('secret-format', () => readExact(headerBytes, HEADER));
  const value = bytes.subarray(at, at + header.length);
  const padding = bytes.subarray(at + header.length);
  if (bytes.length !== paddedSize(at + header.length) || padding.some((byte) => byte !== 0)) throw refused;
  return { header, headerBytes, signature, value };
}

/** @internal Padmé (Nikitin and others, PoPETs 2019): a size tells no more than the first few bits of it, and costs 12 % at most. */
export function paddedSize(size: number): number {
  if (size <= MIN_SEALED_BYTES) return MIN_SEALED_BYTES;
  const exponent = Math.floor(Math.log2(size));
  const kept = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - kept);
  return Math.ceil(size / step) * step;
}
