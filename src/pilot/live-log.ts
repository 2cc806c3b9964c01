import { type FileHandle, open } from 'node:fs/promises';
import type { KeptLog } from '../protocol/calls/job-log.ts';
import { Refused } from '../protocol/errors.ts';
import { LIVE_LOG_SECONDS, LIVE_LOG_SOON_BYTES, MAX_LIVE_LOG_PART_BYTES } from '../protocol/limits.ts';
import { backoffSeconds, pause } from './retry.ts';

/** The time between two looks for so much that it is sent before its time. */
const LOOK_SECONDS = 1;

/**
 * Sends the log at `path` (masked: it is the one that is uploaded at the end) while it grows, in order, what is new every
 * `LIVE_LOG_SECONDS` or sooner when it is much. It reads the file, so that a server that is slow costs neither memory nor the
 * payload's time. What goes wrong is passed over: the whole log comes at the end.
 *
 * @param send sends the bytes that belong at `offset`; answers where to go on
 */
export function followLog(
  path: string,
  send: (offset: number, bytes: Uint8Array) => Promise<KeptLog>,
  { everySeconds = LIVE_LOG_SECONDS } = {},
): {
  /** Sends no further part; one that is under way is not waited for. */
  stop(): void;
  /** Resolves when nothing more will be sent. */
  ended: Promise<void>;
} {
  const stopped = new AbortController();
  const ended = follow(path, send, everySeconds, stopped.signal).catch(() => {});
  return { stop: () => stopped.abort(), ended };
}

type Send = (offset: number, bytes: Uint8Array) => Promise<KeptLog>;

async function follow(path: string, send: Send, everySeconds: number, stopped: AbortSignal): Promise<void> {
  const file = await open(path, 'r');
  try {
    await sendAsItGrows(file, send, everySeconds, stopped);
  } finally {
    await file.close();
  }
}

async function sendAsItGrows(file: FileHandle, send: Send, everySeconds: number, stopped: AbortSignal): Promise<void> {
  let offset = 0;
  let failures = 0;
  while (!stopped.aborted) {
    await untilWorthwhile(file, offset, everySeconds, stopped);
    if (stopped.aborted) return;
    const bytes = await readFrom(file, offset);
    if (bytes.length === 0) continue;
    try {
      const { size, full } = await send(offset, bytes);
      if (full) return;
      offset = size;
      failures = 0;
    } catch (error) {
      if (error instanceof Refused) return; // The attempt is no longer this pilot's: its reports tell it so.
      await pause(backoffSeconds(failures++), stopped);
    }
  }
}

async function untilWorthwhile(file: FileHandle, offset: number, everySeconds: number, stopped: AbortSignal) {
  for (let waited = 0; waited < everySeconds && !stopped.aborted; waited += LOOK_SECONDS) {
    if ((await file.stat()).size - offset >= LIVE_LOG_SOON_BYTES && waited > 0) return;
    await pause(Math.min(LOOK_SECONDS, everySeconds - waited), stopped);
  }
}

async function readFrom(file: FileHandle, offset: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(MAX_LIVE_LOG_PART_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  return buffer.subarray(0, bytesRead);
}
