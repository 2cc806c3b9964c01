import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { create } from 'tar';
import { MAX_LOG_BYTES } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';

/** The log of one attempt: the payload's output, masked before it comes here, between the pilot's own lines. */
export interface JobLog {
  /** One for each stream of output. Lines of several streams come whole, one after another; bytes are kept as they are. */
  stream(): Writable;
  /** Adds one line of the pilot's own, whatever `text` has in it. Never with a secret's value. */
  note(text: string): void;
  /** Resolves when everything is written. @returns why the log is not whole, if it is not */
  close(): Promise<string | undefined>;
}

/** An unfinished line that is longer is written as it comes. */
const LONGEST_HELD_LINE = 64 * 1024;
const LINE_END = 0x0a;
/** A longer note of the pilot's is cut. */
const MAX_NOTE_CHARS = 10_000;

/**
 * Creates the file at `path` (0600); there must be none. A disk that fills up does not stop the payload: what cannot be
 * written, and what exceeds `maxBytes`, is dropped, and {@link JobLog.close} says so.
 */
export async function openJobLog(path: string, maxBytes = MAX_LOG_BYTES): Promise<JobLog> {
  const file = await open(path, 'wx', 0o600);
  const streams: Promise<void>[] = [];
  let last = Promise.resolve();
  let room = maxBytes;
  let failure: string | undefined;

  const write = (bytes: Uint8Array): Promise<void> => {
    last = last.then(async () => {
      await file.appendFile(bytes).catch((error: NodeJS.ErrnoException) => {
        failure = `the log could not be written (${error.code})`;
      });
    });
    return last;
  };
  const append = async (bytes: Uint8Array): Promise<void> => {
    if (room === 0 || bytes.length === 0) return;
    const kept = bytes.subarray(0, room);
    room -= kept.length;
    const written = write(kept);
    if (room > 0) return await written;
    failure ??= `the payload printed more than ${maxBytes} bytes; the rest is not kept`;
    await write(Buffer.from(`\npanda-pilot: ${failure}\n`));
  };

  return {
    stream() {
      const stream = lines(append);
      streams.push(finished(stream).catch(() => {}));
      return stream;
    },
    note(text) {
      void write(Buffer.from(`panda-pilot: ${shownText(text, MAX_NOTE_CHARS)}\n`));
    },
    async close() {
      await Promise.all(streams);
      await last;
      await file.close();
      return failure;
    },
  };
}

/**
 * Packs a closed log as the archive at `archive` (.tar.gz) that goes by PanDA's name for it, `....log.tgz`. There must be
 * nothing there: opening what a payload that is not isolated put there, a pipe, might never end.
 */
export async function packJobLog(path: string, archive: string): Promise<void> {
  const packed = create({ cwd: dirname(path), gzip: true, portable: true }, [basename(path)]);
  await pipeline(packed, createWriteStream(archive, { flags: 'wx', mode: 0o600 }));
}

function lines(append: (bytes: Uint8Array) => Promise<void>): Writable {
  let held: Buffer[] = [];
  let heldBytes = 0;
  const take = () => {
    const bytes = Buffer.concat(held);
    held = [];
    heldBytes = 0;
    return bytes;
  };
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const whole = chunk.lastIndexOf(LINE_END) + 1;
      let ready: Promise<void> | undefined;
      if (whole > 0) {
        held.push(chunk.subarray(0, whole));
        ready = append(take());
      }
      if (whole < chunk.length) {
        held.push(chunk.subarray(whole));
        heldBytes += chunk.length - whole;
        if (heldBytes > LONGEST_HELD_LINE) ready = append(take());
      }
      if (ready) ready.then(() => done());
      else done();
    },
    final(done) {
      append(take()).then(() => done());
    },
  });
}
