/**
 * Producers of the corpus (`test/vectors/masking/`) whose output the transformation for PanDA's own pilots does not read, for one secret
 * at least: dumps of bytes with offsets, base32, hex after a backslash, lines that sed breaks, zsh's own quotes, colours, values and
 * base64 with something before each line. The pilot of this project masks them, but for those that the corpus calls gaps.
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
  /^node: a password in a URL/,
  /^base64 of base64/,
  /an unquoted word/,
  /^curl --trace/,
  /^grep --color/,
  /^base64(,| at 20)/,
  /json\.dumps of encodebytes/,
  /^node: a (Uint8Array|Buffer of)/,
  /^python: (a text with lines|logging, a time)/,
  /^(uuencode|rev|fold|tr: in capitals)/,
  /^python: (base85|UTF-16 in hex|a list of characters|gzip|textwrap|yaml, pprint)/,
  /^bash: the first half/,
  /^a file of JSON: (od|xxd$|hexdump)/,
  /^behind other text: /,
  /^(socat|systemd-escape|node: JSON.parse)/,
  /^python: quopri of a long line/,
];
