/**
 * A sealed secret is text: an age file in its armour, which its owner's client made and the server cannot open. It is told from an
 * age file that a user made by the first stanza, which names no recipient: with age's own first line it fills the first line of
 * the armour.
 */

/** The type of that stanza; its body is empty. */
export const SEALED_STANZA = 'panda-secrets-sealed-v1';

export const ARMOR_BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const FIRST_LINE = Buffer.from(`age-encryption.org/v1\n-> ${SEALED_STANZA}`).toString('base64');
const BEGINNING = `${ARMOR_BEGIN}\n${FIRST_LINE}\n`;

/** Tells if a secret's value was sealed by its owner's client. It says nothing about who sealed it, or if it opens. */
export function isSealedValue(value: string): boolean {
  return value.startsWith(BEGINNING);
}

/** The form of what somebody signed (a grant, a site's record), as far as the server looks at it: a pattern. */
export const SIGNED_WORD = '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$';
