import { LRUCache } from 'lru-cache';
import type { OwnerId } from '../protocol/ids.ts';
import {
  FOLLOW_SECONDS,
  LIVE_LOG_WAIT_SECONDS,
  MAX_KNOWN_LIVE_LOGS,
  MAX_WAITING_READERS,
  MAX_WAITING_READERS_PER_OWNER,
} from '../protocol/limits.ts';
import type { LiveLogOf } from '../store/live-logs.ts';

/** A part of a log that this process took. */
export interface TakenPart {
  offset: number;
  bytes: Buffer;
  /** Its bytes are kept with a signature between them: `offset` counts these too. */
  isSigned: boolean;
  /** The log's size with it. */
  size: number;
}

/** The news of a log: the bytes from the reader's offset on where they are at hand, and else that it is to be read. */
export interface LogNews {
  bytes?: Buffer;
}

/**
 * Readers of live logs who wait for more. They hear of what this process takes; another server, or another worker of this one, may take parts as well,
 * so that nobody waits for longer than a few seconds. Nothing of a log is kept here: a part goes to who waits for it, or to nobody.
 */
export interface LogReaders {
  /**
   * Waits for more of a log than `offset` bytes, from now on.
   *
   * @returns undefined when too many wait already, or the server closes
   */
  wait(owner: OwnerId, log: LiveLogOf, offset: number, seconds: number): WaitingReader | undefined;
  /** True when this process took the last part of it, as far as it knows, which ended there. */
  isRead(log: LiveLogOf, offset: number): boolean;
  tell(log: LiveLogOf, part: TakenPart): void;
  /** The log is gone: the whole one has come. */
  end(log: LiveLogOf): void;
  /** Answers all who wait, and has nobody wait from now on. */
  close(): void;
}

export interface WaitingReader {
  /** Resolves with nothing when the time is over. It never rejects. */
  news: Promise<LogNews | undefined>;
  /** Waits no longer. */
  stop(): void;
}

export function createLogReaders(): LogReaders {
  const readers = new Map<string, Set<{ offset: number; answer(news?: LogNews): void }>>();
  const ofOwner = new Map<OwnerId, number>();
  /** Of logs whose last part came to this process. */
  const sizes = new LRUCache<string, number>({ max: MAX_KNOWN_LIVE_LOGS });
  let count = 0;
  let isClosed = false;

  return {
    wait(owner, log, offset, seconds) {
      const own = ofOwner.get(owner) ?? 0;
      if (isClosed || count >= MAX_WAITING_READERS || own >= MAX_WAITING_READERS_PER_OWNER) return undefined;
      const key = keyOf(log);
      const { promise: news, resolve } = Promise.withResolvers<LogNews | undefined>();
      // Parts that another process takes are looked for as often as by a client that asks again and again.
      const most = sizes.has(key) ? LIVE_LOG_WAIT_SECONDS : FOLLOW_SECONDS;
      const timer = setTimeout(answer, Math.min(seconds, most) * 1000);
      const reader = { offset, answer };
      const ofLog = readers.get(key) ?? new Set();
      readers.set(key, ofLog.add(reader));
      ofOwner.set(owner, own + 1);
      count += 1;

      function answer(found?: LogNews): void {
        resolve(found);
        clearTimeout(timer);
        if (!ofLog.delete(reader)) return;
        if (ofLog.size === 0) readers.delete(key);
        const left = (ofOwner.get(owner) ?? 0) - 1;
        if (left > 0) ofOwner.set(owner, left);
        else ofOwner.delete(owner);
        count -= 1;
      }

      return { news, stop: () => answer() };
    },

    isRead: (log, offset) => sizes.get(keyOf(log)) === offset,

    tell(log, { offset, bytes, isSigned, size }) {
      const key = keyOf(log);
      sizes.set(key, size);
      for (const reader of [...(readers.get(key) ?? [])]) {
        if (reader.offset >= size) continue;
        const isAtHand = !isSigned && reader.offset >= offset && size <= offset + bytes.length;
        reader.answer(isAtHand ? { bytes: bytes.subarray(reader.offset - offset, size - offset) } : {});
      }
    },

    end(log) {
      const key = keyOf(log);
      sizes.delete(key);
      for (const reader of [...(readers.get(key) ?? [])]) reader.answer({});
    },

    close() {
      isClosed = true;
      for (const ofLog of [...readers.values()]) for (const reader of [...ofLog]) reader.answer();
    },
  };
}

function keyOf({ jobId, attempt }: LiveLogOf): string {
  return `${jobId}.${attempt}`;
}
