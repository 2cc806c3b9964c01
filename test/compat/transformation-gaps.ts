/**
 * Producers of the corpus (`test/vectors/masking/`) whose output the transformation for PanDA's own pilots does not read, for one secret
 * at least: dumps of bytes with offsets, base32, hex after a backslash, lines that sed breaks, zsh's own quotes, Latin-1, composed
 * characters. The pilot of this project masks them, but for those that the corpus calls gaps.
 */
export const TRANSFORMATION_GAPS: readonly RegExp[] = [
  /^od\b/,
  /^xxd(?! -p)/,
  /^hexdump/,
  /hex\.Dump/,
  /base32/,
  /^zsh: (set -x|\$\{\(q\))/,
  /^LDAP/,
  /^sed -n l, (a long line|in the C locale)/,
  /^java: println of an encodable text/,
  /NFD and NFC/,
  /^node: a password in a URL/,
  /^base64 of base64/,
  /an unquoted word/,
];
