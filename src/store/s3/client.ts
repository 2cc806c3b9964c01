import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Misconfigured, NoSpace, NotFound, PandaError, Unavailable } from '../../protocol/errors.ts';
import type { S3Place } from '../blob-place.ts';

/** What is known of an object without reading it. */
export interface Listed {
  /** Behind the prefix of the place. */
  key: string;
  /** Bytes. */
  size: number;
  /** By the clock of the storage, in milliseconds. */
  changedAt: number;
}

/**
 * The requests that the rest is made of, each tried again by the library while the storage is away or asks for it. Keys are those
 * behind the prefix of the place.
 *
 * Each throws {@link NotFound} for an object that is not there, {@link NoSpace} for a full storage and {@link Unavailable} for all that an operator
 * has to look into, with the storage's own code as its cause.
 */
export interface Bucket {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Makes it unless it is there. */
  create(key: string, bytes: Uint8Array): Promise<void>;
  /** In parts of `PART_BYTES`: `PART_BYTES` of memory, and what the library copies of it. */
  upload(key: string, content: Readable): Promise<void>;
  copy(from: string, to: string): Promise<void>;
  get(key: string): Promise<{ size: number; body: Readable }>;
  read(key: string): Promise<Buffer>;
  /** undefined when it is not there. */
  head(key: string): Promise<Listed | undefined>;
  delete(key: string): Promise<void>;
  list(below: string): AsyncIterable<Listed>;
  /** Ends uploads that began before `time` (milliseconds) and did not end. */
  abortUploads(below: string, time: number): Promise<void>;
  /** Says what an operator can mend, where an error of this bucket is of that kind. */
  explain(error: unknown): unknown;
  close(): void;
}

/** The least that S3 takes for a part. */
export const PART_BYTES = 5 * 1024 * 1024;

const CONNECT_MILLISECONDS = 5000;
const ANSWER_MILLISECONDS = 30_000;
/** A copy is answered when it is whole: up to `MAX_UPLOAD_BYTES`. */
const COPY_MILLISECONDS = 600_000;
/** A reader may pause for that long. */
const IDLE_MILLISECONDS = 300_000;
const ATTEMPTS = 4;
const SOCKETS = 256;
/** Where another service than Amazon's wants one and does not care. */
const ANY_REGION = 'us-east-1';

const AWAY = "the server's storage for files is away at the moment, or refuses it: try again later";

/** Opens no connection yet. Credentials are found as all of Amazon's programs find them. */
export async function openBucket({ bucket: Bucket, prefix, region, endpoint, caFile }: S3Place): Promise<Bucket> {
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  const client = new S3Client({
    ...(region !== undefined ? { region } : endpoint !== undefined && { region: regionOf(process.env) }),
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    maxAttempts: ATTEMPTS,
    // Newer checksums are not known everywhere; what is read is checked against keys and digests of our own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MILLISECONDS,
      requestTimeout: ANSWER_MILLISECONDS,
      throwOnRequestTimeout: true,
      socketTimeout: IDLE_MILLISECONDS,
      httpAgent: agent,
      httpsAgent: { ...agent, ...(caFile !== undefined && { ca: await readCa(caFile) }) },
    },
  });
  const at = (key: string) => ({ Bucket, Key: prefix + key });

  return {
    async put(key, bytes) {
      await ours(client.send(new PutObjectCommand({ ...at(key), Body: bytes })));
    },

    async create(key, bytes) {
      const made = client.send(new PutObjectCommand({ ...at(key), Body: bytes, IfNoneMatch: '*' }));
      await made.catch((error) => {
        if (codeOf(error) !== 'PreconditionFailed') throw asOurs(error);
      });
    },

    async upload(key, content) {
      const upload = new Upload({ client, params: { ...at(key), Body: content }, queueSize: 1, partSize: PART_BYTES });
      await ours(upload.done());
    },

    async copy(from, to) {
      const CopySource = `${Bucket}/${prefix}${from}`;
      await ours(client.send(new CopyObjectCommand({ ...at(to), CopySource }), { requestTimeout: COPY_MILLISECONDS }));
    },

    async get(key) {
      const { ContentLength = 0, Body } = await ours(client.send(new GetObjectCommand(at(key))));
      return { size: ContentLength, body: Body as Readable };
    },

    async read(key) {
      const { Body } = await ours(client.send(new GetObjectCommand(at(key))));
      return Buffer.from((await ours(Body?.transformToByteArray() ?? Promise.resolve(undefined))) ?? []);
    },

    async head(key) {
      try {
        const { ContentLength: size = 0, LastModified } = await ours(client.send(new HeadObjectCommand(at(key))));
        return { key, size, changedAt: LastModified?.getTime() ?? 0 };
      } catch (error) {
        if (error instanceof NotFound) return undefined;
        throw error;
      }
    },

    async delete(key) {
      await ours(client.send(new DeleteObjectCommand(at(key))));
    },

    async *list(below) {
      for (let ContinuationToken: string | undefined; ; ) {
        const page = await ours(
          client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix + below, ContinuationToken })),
        );
        for (const { Key = '', Size: size = 0, LastModified } of page.Contents ?? []) {
          if (Key.startsWith(prefix + below))
            yield { key: Key.slice(prefix.length), size, changedAt: LastModified?.getTime() ?? 0 };
        }
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
        if (ContinuationToken === undefined) return;
      }
    },

    async abortUploads(below, time) {
      for (let after: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
        const page = await ours(
          client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix + below, ...after })),
        );
        for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
          if (!Key.startsWith(prefix + below) || (Initiated?.getTime() ?? time) >= time) continue;
          await ours(client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })));
        }
        if (!page.IsTruncated || page.NextKeyMarker === undefined) return;
        after = {
          KeyMarker: page.NextKeyMarker,
          ...(page.NextUploadIdMarker !== undefined && { UploadIdMarker: page.NextUploadIdMarker }),
        };
      }
    },

    explain(error) {
      const code = error instanceof Unavailable ? codeOf(error.cause) : undefined;
      const what = WRONG.find(([codes]) => code !== undefined && codes.includes(code))?.[1];
      if (what === undefined) return error;
      const place = `s3://${Bucket}/${prefix}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
      return new Misconfigured(`the storage for files, ${place}: ${what} (${code})`);
    },

    close: () => client.destroy(),
  };
}

function regionOf(environment: NodeJS.ProcessEnv): string {
  return environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || ANY_REGION;
}

/** The codes of what stays wrong until an operator mends it. */
const WRONG: readonly [readonly string[], string][] = [
  [['NoSuchBucket'], 'there is no such bucket; make it, or correct the setting "blobs"'],
  [
    ['AccessDenied', 'AllAccessDisabled', 'Forbidden', '403'],
    'these credentials may not read, write, delete and list there; give them those rights',
  ],
  [
    ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken', 'TokenRefreshRequired'],
    'it does not know these credentials; correct them',
  ],
  [
    ['CredentialsProviderError', 'CredentialsError'],
    'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to the file that has them',
  ],
  [
    ['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'],
    'the bucket is in another region; name it (region=)',
  ],
  [
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'CERT_HAS_EXPIRED',
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    'its certificate is not one that this server trusts; name the file of its issuer (ca=FILE)',
  ],
];

const FULL = ['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage', 'ServiceQuotaExceededException'];
const MISSING = ['NoSuchKey', 'NotFound'];

async function ours<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw asOurs(error);
  }
}

function asOurs(error: unknown): unknown {
  if (error instanceof PandaError) return error;
  const code = codeOf(error);
  const { $metadata } = Object(error) as { $metadata?: { httpStatusCode?: number } };
  if (code !== undefined && MISSING.includes(code)) return new NotFound('the file is no longer kept on this server');
  if ((code !== undefined && FULL.includes(code)) || $metadata?.httpStatusCode === 507) return new NoSpace();
  // The code alone: a message may quote a request, or an id of a key.
  const cause = Object.assign(new Error('of the storage'), { code: code ?? 'UNKNOWN' });
  return new Unavailable(AWAY, { cause });
}

/** The storage's own word, or the system's. */
function codeOf(error: unknown): string | undefined {
  const { code, name } = Object(error) as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' && name !== 'Error' ? name : undefined;
}

async function readCa(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error) => {
    throw new Misconfigured(`the setting "blobs": the file ${file} of certificates cannot be read (${error.code})`);
  });
}
