import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { fromCheckedCode, toCheckedCode } from './checked-code.ts';
import { text, where } from './exact-json.ts';
import { isPublicKey } from './signed.ts';

/** A site's Ed25519 identity with a checksum: 56 small letters and digits, which its page shows and users pin. */
export type SiteId = string;

const LABEL = 'panda-secrets/v1/site-id';

/** @param publicKey base64url */
export function siteIdOf(publicKey: string): SiteId {
  const bytes = fromBase64url(publicKey);
  if (!bytes || !isPublicKey(publicKey)) throw new InvalidArgument('this is no public key of a site');
  return toCheckedCode(LABEL, bytes).toLowerCase();
}

/** The id in its one spelling, of one that was typed or copied. @throws {InvalidArgument} */
export function parseSiteId(typed: string): SiteId {
  const bytes = fromCheckedCode(LABEL, typed);
  if (!bytes || !isPublicKey(toBase64url(bytes))) {
    throw new InvalidArgument('this is not a site ID: it has 56 letters and digits; copy it from the page of the site');
  }
  return toCheckedCode(LABEL, bytes).toLowerCase();
}

/** The key that signs the records of a site, base64url. */
export function identityOf(id: SiteId): string {
  const bytes = fromCheckedCode(LABEL, id);
  if (!bytes) throw new InvalidArgument('this is not a site ID');
  return toBase64url(bytes);
}

/** In what is signed: its one spelling alone. */
export const SITE_ID = where(text(56, /^[a-z2-7]{56}$/), (id) => {
  const bytes = fromCheckedCode(LABEL, id);
  return bytes !== undefined && isPublicKey(toBase64url(bytes));
});
