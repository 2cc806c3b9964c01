import type { FileHandle } from 'node:fs/promises';
import type { KeptLog } from '../protocol/calls/job-log.ts';
import { Refused } from '../protocol/errors.ts';
import { MAX_SIGNED_LIVE_LOG_PART_BYTES } from '../protocol/limits.ts';
import { backoffSeconds, pause } from './retry.ts';

/** Sends the bytes that belong at `offset`; answers where to go on. */
export type SendPart = (offset: number, bytes: Uint8Array, signature?: string) => Promise<KeptLog>;

/** Makes what is sent of a part, from 0, and signs it; `last` is true of the one with which the log ends. */
export type PartSigner = (
  seq: number,
  bytes: Uint8Array,
  last: boolean,
) => Promise<{ bytes: Uint8Array; signature: string }>;

/** A part of the log, which has the same bytes for ever: of two parts with one number, a server could show either. */
interface Part {
  /** Bytes of the log. */
  from: number;
  to: number;
  /** It ends the log. */
  last: boolean;
  /** Where it belongs on the server, whose log has the signatures between the parts. */
  at: number;
}

/**
 * Sends a log in parts that are signed, and sealed where their owner wants that. When it is stopped, the log is whole: what is left
 * of it is sent as the last part if one is enough, and otherwise comes with the whole log.
 *
 * @param grown resolves when there is enough behind `offset` for a part of that number, or when it is stopped
 */
export async function sendSigned(
  file: FileHandle,
  send: SendPart,
  sign: PartSigner,
  { grown, stopped }: { grown: (offset: number, seq: number) => Promise<void>; stopped: AbortSignal },
): Promise<void> {
  const made: Part[] = [];
  let next = 0;
  let at = 0;
  for (let failures = 0; ; ) {
    const part = made[next] ?? (await newPart(made.at(-1)?.to ?? 0));
    if (!part) return;
    made[next] = part;
    const content = await readFrom(file, part.from, part.to - part.from);
    const { bytes, signature } = await sign(next, content, part.last);
    try {
      const { size, full } = await send(part.at, bytes, signature);
      if (full) return;
      if (size > part.at) {
        if (part.last) return;
        next += 1;
        at = size;
        failures = 0;
        continue;
      }
      // The server lost parts: it gets the same ones again.
      const lost = made.findIndex((one) => one.at === size);
      if (lost < 0) return;
      if (lost < next) {
        next = lost;
        continue;
      }
    } catch (error) {
      if (error instanceof Refused) return; // The attempt is no longer this pilot's: its reports tell it so.
    }
    if (stopped.aborted) return;
    await pause(backoffSeconds(failures++), stopped);
  }

  async function newPart(from: number): Promise<Part | undefined> {
    for (;;) {
      await grown(from, made.length);
      const { size } = await file.stat();
      const to = Math.min(size, from + MAX_SIGNED_LIVE_LOG_PART_BYTES);
      if (stopped.aborted) return to === size ? { from, to, last: true, at } : undefined;
      if (to > from) return { from, to, last: false, at };
    }
  }
}

/** The bytes of a file from one on, at most so many. */
export async function readFrom(file: FileHandle, offset: number, maxBytes: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(maxBytes);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  return buffer.subarray(0, bytesRead);
}
