/**
 * Producers of the corpus (`test/vectors/masking/`) whose output the transformation for PanDA's own pilots does not read: dumps of
 * bytes with offsets, base32, and a tab as zsh traces it. The pilot of this project masks them.
 */
export const TRANSFORMATION_GAPS: readonly RegExp[] = [
  /^od\b/,
  /^xxd(?! -p)/,
  /^hexdump/,
  /hex\.Dump/,
  /base32/,
  /^zsh: set -x/,
];
