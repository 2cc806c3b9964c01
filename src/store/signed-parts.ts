import { MAX_LIVE_LOG_PART_BYTES, MAX_SIGNED_CHARS } from '../protocol/limits.ts';

/** A part of a live log, and the node's word for its bytes. */
export interface SignedPart {
  bytes: Uint8Array;
  signature: string;
}

const LINE_END = 0x0a;

/** Most bytes of what stands before the bytes of a part. */
export const MAX_SIGNED_HEAD_BYTES = String(MAX_LIVE_LOG_PART_BYTES).length + MAX_SIGNED_CHARS + 2;
export const MAX_SIGNED_PART_BYTES = MAX_SIGNED_HEAD_BYTES + MAX_LIVE_LOG_PART_BYTES;

/** A part as it stands in a file, `SIZE SIGNATURE` LF and its bytes, so that one write takes both or can be undone. */
export function recordOf({ bytes, signature }: SignedPart): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length} ${signature}\n`), bytes]);
}

/** The part that begins at a place of what was read; undefined when it is not there whole. */
export function signedPartAt(read: Buffer, at: number): (SignedPart & { end: number }) | undefined {
  const start = read.subarray(at, at + MAX_SIGNED_HEAD_BYTES).indexOf(LINE_END) + 1;
  const [, size, signature] = /^(\d+) (\S+)$/.exec(read.toString('latin1', at, at + Math.max(start - 1, 0))) ?? [];
  if (size === undefined || signature === undefined) return undefined;
  const bytes = read.subarray(at + start, at + start + Number(size));
  return bytes.length === Number(size) ? { bytes, signature, end: at + start + bytes.length } : undefined;
}
