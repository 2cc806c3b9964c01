import type { Readable } from 'node:stream';
import { AlreadyExists, InvalidArgument, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_SANDBOX_BYTES, MAX_SOURCES_BYTES } from '../protocol/limits.ts';
import { sandboxChecksum } from '../protocol/sandbox-checksum.ts';
import type { Blobs } from '../store/blobs.ts';
import { insertSandbox, readSandbox, readSandboxOfContent } from '../store/sandboxes.ts';
import type { Store } from '../store/store.ts';

/** The archives of users' working directories, which jobs unpack. */
export interface Sandboxes {
  /**
   * Keeps an archive under the name that its owner's client chose. Bringing the same again is no error.
   *
   * @throws {InvalidArgument} when the name is not `jobO.UUID.tar.gz` or `sources.UUID.tar.gz`, the content no gzip, or larger
   * than `MAX_SANDBOX_BYTES` or `MAX_SOURCES_BYTES`
   * @throws {AlreadyExists} when there is another archive of that name
   */
  put(owner: OwnerId, name: string, content: Readable): Promise<void>;
  /** The name of an archive of this owner with that size and `sandboxChecksum`, if there is one. */
  find(owner: OwnerId, size: number, checksum: number): Promise<string | undefined>;
  /** Whoever knows a name may read it: it is as good as random, and pilots of PanDA's fetch without a token. @throws {NotFound} */
  open(name: string): Promise<{ size: number; stream: Readable }>;
}

const NAME = /^(jobO|sources)\.[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.tar\.gz$/;
const GZIP_MAGIC = [0x1f, 0x8b];

export function createSandboxes({
  store,
  blobs,
  clock,
}: {
  store: Store;
  blobs: Blobs;
  clock: () => number;
}): Sandboxes {
  return {
    async put(owner, name, content) {
      const kind = NAME.exec(name)?.[1];
      if (!kind) {
        throw new InvalidArgument(
          `file: "${name}" is not the name of a sandbox (jobO.UUID.tar.gz or sources.UUID.tar.gz)`,
        );
      }
      const checksum = sandboxChecksum();
      const checkMagic = gzipCheck();
      const { sha256, size } = await blobs.put(content, {
        maxBytes: kind === 'sources' ? MAX_SOURCES_BYTES : MAX_SANDBOX_BYTES,
        inspect(chunk) {
          checkMagic(chunk);
          checksum.update(chunk);
        },
      });
      const value = checksum.value();
      if (value === undefined) throw notGzip();
      const sandbox = { name, owner_id: owner, sha256, size, checksum: String(value), created_at: clock() };
      if (await store.write((tx) => insertSandbox(tx, sandbox))) return;
      const other = await readSandbox(store.db, name);
      if (other?.owner_id !== owner || other.sha256 !== sha256) {
        throw new AlreadyExists(`file: there is another sandbox of the name ${name}; choose a fresh UUID`);
      }
    },

    async find(owner, size, checksum) {
      return (await readSandboxOfContent(store.db, owner, size, String(checksum)))?.name;
    },

    async open(name) {
      const sandbox = NAME.test(name) ? await readSandbox(store.db, name) : undefined;
      if (!sandbox) throw new NotFound(`there is no sandbox ${name}`);
      return blobs.get(sandbox.sha256);
    },
  };
}

/** Throws at the first chunk that shows that it is no gzip file. */
function gzipCheck(): (chunk: Uint8Array) => void {
  let at = 0;
  return (chunk) => {
    for (let n = 0; n < chunk.length && at < GZIP_MAGIC.length; n++, at++) {
      if (chunk[n] !== GZIP_MAGIC[at]) throw notGzip();
    }
  };
}

function notGzip(): InvalidArgument {
  return new InvalidArgument('file: a sandbox must be a gzip-compressed tar archive');
}
