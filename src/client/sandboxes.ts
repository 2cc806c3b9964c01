import type { Readable } from 'node:stream';
import { Refused } from '../protocol/errors.ts';
import type { Answer, Transport } from './transport.ts';

/** A sandbox that the server has. */
export interface StoredSandbox {
  /** Origin of the server that jobs fetch it from. */
  origin: string;
  fileName: string;
}

/** The archives that jobs start from. Every call throws as `Transport` says. */
export interface SandboxCalls {
  /** Looks for a sandbox of this size (bytes) and checksum (`sandbox-checksum.ts`) that was uploaded before. */
  findSandbox(size: number, checksum: number): Promise<StoredSandbox | undefined>;
  /** @param fileName `jobO.UUID.tar.gz` */
  uploadSandbox(fileName: string, archive: Uint8Array): Promise<StoredSandbox>;
  /** Fetches a sandbox for a job. The address is the task's: a token goes along only to the client's own server. */
  downloadSandbox(url: string): Promise<Readable>;
}

/** @param cache the server for sandboxes; often the same as `transport`'s */
export function sandboxCalls(transport: Transport, cache: Transport): SandboxCalls {
  return {
    async findSandbox(size, checksum) {
      const found = await foundMessage(
        transport.post('file_server/validate_cache_file', { file_size: size, checksum }),
      );
      return found === undefined ? undefined : parseFound(found, cache.origin);
    },
    async uploadSandbox(fileName, archive) {
      await cache.send('file_server/upload_cache_file', {}, multipart(fileName, archive));
      return { origin: cache.origin, fileName };
    },
    downloadSandbox: (url) => transport.openUrl(url),
  };
}

/** `FOUND:...` counts with `success` true or false; any other message means that there is none. */
async function foundMessage(answer: Promise<Answer<unknown>>): Promise<string | undefined> {
  try {
    return textAfter('FOUND:', (await answer).message);
  } catch (error) {
    if (error instanceof Refused) return textAfter('FOUND:', error.message);
    throw error;
  }
}

function textAfter(start: string, text: string): string | undefined {
  return text.startsWith(start) ? text.slice(start.length) : undefined;
}

/** `HOST:FILENAME`, where HOST may be a whole origin; a bare name stands for the cache server's scheme and port. */
function parseFound(found: string, cacheOrigin: string): StoredSandbox | undefined {
  const end = found.lastIndexOf(':');
  const host = found.slice(0, end);
  const fileName = found.slice(end + 1);
  if (end < 1 || !/^[\w.-]+$/.test(fileName)) return undefined;
  const origin = new URL(cacheOrigin);
  if (/^https?:\/\//.test(host)) return URL.canParse(host) ? { origin: new URL(host).origin, fileName } : undefined;
  origin.host = host;
  return { origin: origin.origin, fileName };
}

/** One file in the field `file` (RFC 7578). */
function multipart(fileName: string, content: Uint8Array): { type: string; body: Uint8Array } {
  const boundary = `sandbox-${crypto.randomUUID()}`;
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n` +
    'Content-Type: application/gzip\r\n\r\n';
  const body = Buffer.concat([Buffer.from(head), content, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/form-data; boundary=${boundary}`, body };
}
