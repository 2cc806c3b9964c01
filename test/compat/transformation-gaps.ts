/**
 * Producers of the corpus (`test/vectors/masking/`) whose output the transformation for PanDA's own pilots does not read: dumps of
 * bytes with offsets, and base32. The pilot of this project masks them.
 */
export const TRANSFORMATION_GAPS: readonly RegExp[] = [/^od\b/, /^xxd(?! -p)/, /^hexdump/, /hex\.Dump/, /base32/];
