import { fileURLToPath } from 'node:url';
import { Misconfigured } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';

/** The place of sandboxes, logs and outputs. */
export type BlobPlace = { folder: string } | { s3: S3Place };

/** A part of a bucket. */
export interface S3Place {
  bucket: string;
  /** Empty, or with a slash at its end. */
  prefix: string;
  region: string | undefined;
  /** Another service than Amazon's. */
  endpoint: string | undefined;
  /** The file with the certificates (PEM) that its own must come from; those that Node trusts unless set. */
  caFile: string | undefined;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/;
const PARAMETERS = ['region', 'endpoint', 'ca'];

const FORM = 's3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST&ca=FILE, or file:/FOLDER';

/**
 * Reads `s3://bucket/prefix?region=...&endpoint=https://...&ca=/file` or `file:/folder`. Credentials never stand in it.
 *
 * @throws {Misconfigured} for any other, for credentials in it, and for plain http to another machine
 */
export function parseBlobPlace(uri: string): BlobPlace {
  const url = URL.parse(uri);
  if (url?.protocol === 'file:' && url.host === '' && url.search === '' && url.hash === '')
    return { folder: fileURLToPath(url) };
  if (url?.protocol !== 's3:') throw wrong(`is no place for files: ${FORM}`);
  if (url.username !== '' || url.password !== '') throw withCredentials();
  const bucket = url.host;
  const path = url.pathname.replace(/^\//, '');
  const prefix = path === '' || path.endsWith('/') ? path : `${path}/`;
  if (!BUCKET.test(bucket)) throw wrong(`names no bucket: ${FORM}`);
  if (!PREFIX.test(prefix) || url.hash !== '')
    throw wrong('has a prefix of other characters than letters, digits, ".", "_", "-" and "/"');
  for (const name of url.searchParams.keys()) {
    if (/key|secret|token|password|credential/i.test(name)) throw withCredentials();
    if (!PARAMETERS.includes(name)) throw wrong(`has an unknown parameter; known are ${PARAMETERS.join(', ')}`);
    if (url.searchParams.getAll(name).length > 1) throw wrong(`has "${name}" twice`);
  }
  const given = (name: string) => url.searchParams.get(name) || undefined;
  return {
    s3: {
      bucket,
      prefix,
      region: given('region'),
      endpoint: checkedEndpoint(given('endpoint')),
      caFile: given('ca'),
    },
  };
}

/** The place in messages. */
export function blobPlaceName(place: BlobPlace): string {
  if ('folder' in place) return place.folder;
  const { bucket, prefix, endpoint } = place.s3;
  return `s3://${bucket}/${prefix}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
}

function checkedEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined;
  const url = URL.parse(endpoint);
  if (url && (url.username !== '' || url.password !== '')) throw withCredentials();
  const isOrigin = url !== null && url.href === `${url.origin}/`;
  if (isOrigin && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))))
    return url.origin;
  throw wrong('has an endpoint that is not https://HOST or https://HOST:PORT (plain http: on this machine alone)');
}

function wrong(reason: string): Misconfigured {
  return new Misconfigured(`the setting "blobs" ${reason}`);
}

function withCredentials(): Misconfigured {
  return wrong(
    'has credentials in it, which logs and lists of processes show: give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in ' +
      'the file that AWS_SHARED_CREDENTIALS_FILE names, and make new ones, as these were shown',
  );
}
