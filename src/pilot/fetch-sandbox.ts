import { pipeline, type Readable } from 'node:stream';
import { digestCheck } from '../protocol/digest-check.ts';
import { Declined, InvalidArgument, Unavailable } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';
import type { PilotServer } from './reporter.ts';
import { untilAnswered } from './retry.ts';
import { unpackSandbox } from './sandbox.ts';

/** The longest that a sandbox's server may be away. */
const RETRY_SECONDS = 600;
/** The longest that a sandbox may take to come: no limit of the job's counts yet. */
const DOWNLOAD_SECONDS = 3600;

export interface SandboxSource {
  server: Pick<PilotServer, 'downloadSandbox'>;
  /** The origin of the server that has it, and its name there. */
  origin: string;
  name: string;
  /** SHA-256, hex, of what it must be; `undefined`: not known. */
  sha256: string | undefined;
  /** Makes what is thrown in the place of all that a server could put words of its own into. */
  refusal?: (code: 'sandbox-missing' | 'sandbox-changed') => Error;
}

/**
 * Fetches a job's sandbox and unpacks it into an empty directory. A server that is away is asked again, one that refuses is not.
 *
 * @param signal ends it, with an error
 * @throws {InvalidArgument} when it would come over plain http with nothing to prove it by, or as `unpackSandbox` says
 * @throws {Unavailable} when it does not come, is another, or takes longer than `downloadSeconds`
 */
export async function fetchSandbox(
  { server, origin, name, sha256, refusal }: SandboxSource,
  directory: string,
  signal: AbortSignal,
  downloadSeconds = DOWNLOAD_SECONDS,
): Promise<void> {
  const url = new URL(`${origin.replace(/\/+$/, '')}/cache/${encodeURIComponent(name)}`);
  if (sha256 === undefined && url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw new InvalidArgument(`${origin} must be an https address: over plain http others can change the sandbox`);
  }
  const archive = await untilAnswered(() => server.downloadSandbox(url.href), {
    forSeconds: RETRY_SECONDS,
    stopping: signal,
    isFinal: (error) => error instanceof Declined,
  }).catch((error: unknown) => {
    throw refusal ? refusal('sandbox-missing') : error;
  });
  const tooLong = AbortSignal.timeout(downloadSeconds * 1000);
  try {
    await unpackSandbox(checked(archive, sha256), directory, AbortSignal.any([signal, tooLong]));
  } catch (error) {
    if (tooLong.aborted) {
      throw refusal ? refusal('sandbox-missing') : new Unavailable(`it did not come within ${downloadSeconds} s`);
    }
    const isOther = error instanceof Unavailable || error instanceof InvalidArgument;
    if (!refusal || isOfDisk(error)) throw error;
    throw refusal(isOther ? 'sandbox-changed' : 'sandbox-missing');
  }
}

/** Those of a connection name no file. */
function isOfDisk(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException;
  return path !== undefined || code === 'ENOSPC' || code === 'EDQUOT';
}

/**
 * Its digest alone proves a sandbox: without it, a proxy that ends TLS on the way could put a program of its own
 * beside the secrets.
 */
function checked(archive: Readable, sha256: string | undefined): Readable {
  if (sha256 === undefined) return archive;
  const digest = Buffer.from(sha256, 'hex').toString('base64url');
  const check = digestCheck(
    digest,
    () => new Unavailable('the file that was sent is not the sandbox that the task was submitted with'),
  );
  return pipeline(archive, check, () => {}); // Its reader sees every error.
}
