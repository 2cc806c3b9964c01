import { type FileHandle, open } from 'node:fs/promises';
import { Refused } from '../protocol/errors.ts';
import { LIVE_LOG_SECONDS, LIVE_LOG_SOON_BYTES, MAX_LIVE_LOG_PART_BYTES } from '../protocol/limits.ts';
import { backoffSeconds, pause } from './retry.ts';
import { type PartSigner, readFrom, type SendPart, sendSigned } from './signed-live-log.ts';

/** From this many signed parts on, they come the less often the more there are: each adds its signature to what a server keeps. */
const MANY_PARTS = 1000;

/** The time between two looks for so much that it is sent before its time. */
const LOOK_SECONDS = 1;

/**
 * Sends the log at `path` (masked: it is the one that is uploaded at the end) while it grows, in order, what is new every
 * `LIVE_LOG_SECONDS` or sooner when it is much. It reads the file, so that a server that is slow costs neither memory nor the
 * payload's time. What goes wrong is passed over: the whole log comes at the end.
 *
 * @param sign each part is sent with its signature, where the job's owner checks it
 */
export function followLog(
  path: string,
  send: SendPart,
  { everySeconds = LIVE_LOG_SECONDS, sign }: { everySeconds?: number; sign?: PartSigner | undefined } = {},
): {
  /** Sends no further part, but the end of a log that is signed; what is under way is not waited for. */
  stop(): void;
  /** Resolves when nothing more will be sent. */
  ended: Promise<void>;
} {
  const stopped = new AbortController();
  const ended = follow(path, send, sign, everySeconds, stopped.signal).catch(() => {});
  return { stop: () => stopped.abort(), ended };
}

async function follow(
  path: string,
  send: SendPart,
  sign: PartSigner | undefined,
  everySeconds: number,
  stopped: AbortSignal,
): Promise<void> {
  const file = await open(path, 'r');
  try {
    if (sign) {
      await sendSigned(file, send, sign, {
        grown: (offset, seq) => untilWorthwhile(file, offset, everySeconds * Math.max(1, seq / MANY_PARTS), stopped),
        stopped,
      });
    } else await sendAsItGrows(file, send, everySeconds, stopped);
  } finally {
    await file.close();
  }
}

async function sendAsItGrows(
  file: FileHandle,
  send: SendPart,
  everySeconds: number,
  stopped: AbortSignal,
): Promise<void> {
  let offset = 0;
  let failures = 0;
  while (!stopped.aborted) {
    await untilWorthwhile(file, offset, everySeconds, stopped);
    if (stopped.aborted) return;
    const bytes = await readFrom(file, offset, MAX_LIVE_LOG_PART_BYTES);
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
