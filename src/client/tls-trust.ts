import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';

type Environment = Record<string, string | undefined>;

export interface TlsTrust {
  /** Certificates (PEM) to trust; Node's own list when left out. */
  ca: readonly string[] | undefined;
  verifyHost: boolean;
}

/**
 * Which servers the user's environment trusts, as PanDA's clients do: everything that the machine trusts, and the
 * certificates in the folder `X509_CERT_DIR` and the file `SSL_CERT_FILE`. `PANDA_VERIFY_HOST=off` accepts any server.
 *
 * @throws {Misconfigured} when a folder or file that the environment names cannot be read
 */
export function tlsTrust(env: Environment): TlsTrust {
  const tls = process.getBuiltinModule('node:tls');
  const own = [...certificatesInFolder(env['X509_CERT_DIR']), ...certificatesInFile(env['SSL_CERT_FILE'])];
  return {
    ca: [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system'), ...own])],
    verifyHost: env['PANDA_VERIFY_HOST'] !== 'off',
  };
}

/** A grid's folder has `HASH.0` and `NAME.pem` beside lists of revoked certificates and namespaces, which are passed over. */
function certificatesInFolder(folder: string | undefined): string[] {
  if (!folder) return [];
  const names = read('X509_CERT_DIR', folder, () => readdirSync(folder));
  return names
    .filter((name) => /\.(pem|crt|cer|\d+)$/.test(name))
    .flatMap((name) => certificatesIn(read('X509_CERT_DIR', folder, () => readFileSync(join(folder, name), 'latin1'))));
}

function certificatesInFile(file: string | undefined): string[] {
  return file ? certificatesIn(read('SSL_CERT_FILE', file, () => readFileSync(file, 'latin1'))) : [];
}

function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

function read<T>(variable: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new Misconfigured(`${variable} names ${path}, which cannot be read (${reason})`);
  }
}
