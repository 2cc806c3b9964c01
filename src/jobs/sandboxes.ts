import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { AlreadyExists, InvalidArgument, NotFound, QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import {
  MAX_SANDBOX_BYTES,
  MAX_SANDBOXES_AT_ONCE,
  MAX_SOURCES_BYTES,
  SANDBOX_USE_SECONDS,
} from '../protocol/limits.ts';
import { sandboxChecksum } from '../protocol/sandbox-checksum.ts';
import type { Blobs } from '../store/blobs.ts';
import { insertSandbox, readSandbox, readSandboxInUse, readSandboxOfContent, useSandbox } from '../store/sandboxes.ts';
import type { Store } from '../store/store.ts';
import { withRoom } from './file-room.ts';

/** The archives of users' working directories, which jobs unpack. */
export interface Sandboxes {
  /**
   * Keeps an archive under the name that its owner's client chose. Bringing the same again is no error.
   *
   * @throws {InvalidArgument} when the name is not `jobO.UUID.tar.gz` or `sources.UUID.tar.gz` with a random UUID (RFC 9562,
   * version 4: others can be guessed, and who knows the name reads the archive), the content no gzip, or larger than
   * `MAX_SANDBOX_BYTES` or `MAX_SOURCES_BYTES`
   * @throws {AlreadyExists} when there is another archive of that name
   * @throws {QuotaExceeded} as {@link withRoom}, or beyond `MAX_SANDBOXES_AT_ONCE`
   */
  put(owner: OwnerId, name: string, content: Readable): Promise<void>;
  /** The name of an archive of this owner with that size and `sandboxChecksum`, if there is one. */
  find(owner: OwnerId, size: number, checksum: number): Promise<string | undefined>;
  /**
   * The archive, while a task of its owner starts from it and has not ended: its name is all that a pilot of PanDA's needs to
   * read it, and stands in logs and job descriptions for long after.
   *
   * @throws {NotFound}
   */
  open(name: string): Promise<{ size: number; stream: Readable }>;
}

const NAME = /^(jobO|sources)\.[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.tar\.gz$/;
/** 122 of its bits are random. */
const RANDOM_NAME = /\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\./i;
const GZIP_MAGIC = [0x1f, 0x8b];

export function createSandboxes({
  store,
  blobs,
  clock,
  maxFileBytes,
}: {
  store: Store;
  blobs: Blobs;
  clock: () => number;
  maxFileBytes?: number | undefined;
}): Sandboxes {
  /** The uploads of each owner to this server that are under way. */
  const underWay = new Map<OwnerId, number>();

  return {
    async put(owner, name, content) {
      const kind = NAME.exec(name)?.[1];
      if (!kind) {
        throw new InvalidArgument(
          `file: "${name}" is not the name of a sandbox (jobO.UUID.tar.gz or sources.UUID.tar.gz)`,
        );
      }
      if (!RANDOM_NAME.test(name)) {
        throw new InvalidArgument(
          `file: the UUID in "${name}" can be guessed, and the name is what a sandbox is fetched by; make a random one (version 4)`,
        );
      }
      const atOnce = underWay.get(owner) ?? 0;
      if (atOnce >= MAX_SANDBOXES_AT_ONCE) {
        throw new QuotaExceeded(
          `file: you are uploading ${atOnce} sandboxes already; wait until one of them has arrived`,
        );
      }
      underWay.set(owner, atOnce + 1);
      try {
        // Content that would not be kept is not written first: nothing would count it.
        if (await readSandbox(store.db, name)) await checkSame(owner, name, await sha256Of(content));
        else await bring(owner, name, content, kind === 'sources' ? MAX_SOURCES_BYTES : MAX_SANDBOX_BYTES);
      } finally {
        const left = (underWay.get(owner) ?? 1) - 1;
        if (left === 0) underWay.delete(owner);
        else underWay.set(owner, left);
      }
    },

    async find(owner, size, checksum) {
      const found = await readSandboxOfContent(store.db, owner, size, String(checksum));
      // Its task comes later: until then it is not one that nothing needs.
      const now = clock();
      if (found && found.used_at < now - SANDBOX_USE_SECONDS * 1000) {
        if (!(await store.write((tx) => useSandbox(tx, found.name, now)))) return undefined;
      }
      return found?.name;
    },

    async open(name) {
      const sandbox = NAME.test(name) ? await readSandboxInUse(store.db, name) : undefined;
      if (!sandbox) throw new NotFound(`there is no sandbox ${name} of a task that has not ended`);
      return blobs.get(sandbox.sha256);
    },
  };

  function bring(owner: OwnerId, name: string, content: Readable, maxBytes: number): Promise<void> {
    return withRoom({ store, clock, maxFileBytes }, owner, maxBytes, (kept) =>
      keep(owner, name, content, maxBytes, kept),
    );
  }

  async function keep(
    owner: OwnerId,
    name: string,
    content: Readable,
    maxBytes: number,
    kept: (bytes: number) => void,
  ): Promise<void> {
    const checksum = sandboxChecksum();
    const checkMagic = gzipCheck();
    const { sha256, size } = await blobs.put(content, {
      maxBytes,
      inspect(chunk) {
        checkMagic(chunk);
        checksum.update(chunk);
      },
    });
    kept(size);
    const value = checksum.value();
    if (value === undefined) throw notGzip();
    const sandbox = { name, owner_id: owner, sha256, size, checksum: String(value), created_at: clock() };
    if (!(await store.grow((tx) => insertSandbox(tx, sandbox)))) await checkSame(owner, name, sha256);
  }

  async function checkSame(owner: OwnerId, name: string, sha256: string): Promise<void> {
    const there = await readSandbox(store.db, name);
    if (there?.owner_id !== owner || there.sha256 !== sha256) {
      throw new AlreadyExists(`file: there is another sandbox of the name ${name}; choose a fresh UUID`);
    }
  }
}

async function sha256Of(content: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
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
