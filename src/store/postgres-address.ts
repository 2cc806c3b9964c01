import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { Misconfigured } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';

/** Where a PostgreSQL is, and how it is spoken to. */
export interface PostgresAddress {
  /** For a message: the host (and port), or the folder of a Unix socket. Never the password. */
  shown: string;
  connectionString: string;
  ssl: ConnectionOptions | false;
}

const VERIFIED = new Set(['verify-full', 'verify-ca']);
const UNVERIFIED = new Set(['disable', 'allow', 'prefer', 'require', 'no-verify']);
/** The URL's parameters about TLS: read here, so that nothing behind it decides otherwise. */
const TLS_PARAMETERS = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'uselibpqcompat'] as const;

/**
 * Reads a PostgreSQL URL with the TLS parameters of libpq (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`). Off this
 * machine the connection is TLS with a certificate that is verified, `verify-full` unless the URL says `verify-ca`.
 *
 * @throws {Misconfigured} when it asks for less, or names a file that cannot be read
 */
export function postgresAddress(database: string): PostgresAddress {
  // The URL may hold a password, so no message repeats it.
  const url = /^postgres(ql)?:\/\//.test(database) ? URL.parse(database) : null;
  if (!url) {
    throw new Misconfigured('the database must be a URL that starts with postgres://; leave it out for SQLite');
  }
  const tls = takeTlsParameters(url);
  const { host, port } = new pg.Client({ connectionString: url.href, ssl: false });
  const isHere = host.startsWith('/') || isLoopback(host);
  return {
    shown: host.startsWith('/') ? host : `${host}:${port}`,
    connectionString: url.href,
    ssl: tlsOptions(tls, isHere, host),
  };
}

type TlsParameters = Partial<Record<(typeof TLS_PARAMETERS)[number], string>>;

function takeTlsParameters(url: URL): TlsParameters {
  const taken: TlsParameters = {};
  for (const name of TLS_PARAMETERS) {
    const value = url.searchParams.get(name);
    if (value !== null) taken[name] = value;
    url.searchParams.delete(name);
  }
  if (taken.ssl !== undefined) {
    throw new Misconfigured('the database URL has "ssl": say "sslmode=verify-full", as libpq does');
  }
  return taken;
}

function tlsOptions(tls: TlsParameters, isHere: boolean, host: string): ConnectionOptions | false {
  const asked = tls.sslmode ?? (isHere ? 'prefer' : 'verify-full');
  // libpq: with a root certificate, "require" verifies.
  const mode = asked === 'require' && tls.sslrootcert !== undefined ? 'verify-ca' : asked;
  if (!VERIFIED.has(mode) && !UNVERIFIED.has(mode)) {
    throw new Misconfigured(`the database URL has sslmode=${mode}; it is one of verify-full and verify-ca`);
  }
  if (!VERIFIED.has(mode)) {
    if (!isHere) {
      throw new Misconfigured(
        `sslmode=${mode} to PostgreSQL on ${host} would let the network read its password, or take its place. Leave it out, or say ` +
          'sslmode=verify-full, with sslrootcert=FILE where the certificate is not from a public issuer',
      );
    }
    return mode === 'require' ? { rejectUnauthorized: false } : false;
  }
  const rootIsNamed = tls.sslrootcert !== undefined && tls.sslrootcert !== 'system';
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(rootIsNamed && { ca: readPem('sslrootcert', tls.sslrootcert) }),
    ...(tls.sslcert !== undefined && { cert: readPem('sslcert', tls.sslcert) }),
    ...(tls.sslkey !== undefined && { key: readPem('sslkey', tls.sslkey) }),
    ...(tls.sslpassword !== undefined && { passphrase: tls.sslpassword }),
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  };
}

function readPem(parameter: string, file = ''): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Misconfigured(
      `${parameter} of the database URL names ${file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
