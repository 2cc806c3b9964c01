import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { DAY_MILLISECONDS } from '../protocol/limits.ts';
import type { Finding } from './finding.ts';
import { lastAddress } from './last-address.ts';
import type { Settings } from './settings.ts';

/** Time in which somebody gets a certificate. */
const SOON_DAYS = 14;
const ANSWER_SECONDS = 5;

/** The server's certificate: its dates, and the name that it is for. */
export async function checkTls({ tls, publicUrl }: Settings, clock: () => number): Promise<Finding[]> {
  if (!tls)
    return [
      {
        check: 'tls',
        state: 'fine',
        what: 'the server has no certificate of its own: a proxy ends TLS, or it serves this machine',
      },
    ];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readFile(tls.certFile));
  } catch {
    const what = `${tls.certFile} cannot be read, or is no certificate`;
    return [{ check: 'tls', state: 'wrong', what, todo: 'name the right file with tls_cert' }];
  }
  const days = Math.floor((Date.parse(certificate.validTo) - clock()) / DAY_MILLISECONDS);
  const todo = 'get a new certificate, and send the server SIGHUP, which has it read anew';
  const findings: Finding[] = [];
  if (days < 0)
    findings.push({ check: 'tls', state: 'wrong', what: `the certificate ended on ${certificate.validTo}`, todo });
  else if (days < SOON_DAYS)
    findings.push({ check: 'tls', state: 'warning', what: `the certificate ends in ${days} days`, todo });
  if (Date.parse(certificate.validFrom) > clock()) {
    findings.push({
      check: 'tls',
      state: 'wrong',
      what: `the certificate begins on ${certificate.validFrom}`,
      todo: 'look at the clock too',
    });
  }
  const host = publicUrl === undefined ? undefined : new URL(publicUrl).hostname;
  if (host !== undefined && !isFor(certificate, host)) {
    findings.push({ check: 'tls', state: 'wrong', what: `the certificate is not for ${host}, the public URL`, todo });
  }
  if (findings.length > 0) return findings;
  return [{ check: 'tls', state: 'fine', what: `the certificate is good for ${days} days` }];
}

/** The public URL, or else the address that the server listened on last, answers as this software does. */
export async function checkAddress({ data, publicUrl }: Settings): Promise<Finding[]> {
  const url = publicUrl ?? (await lastAddress(data));
  if (url === undefined)
    return [
      { check: 'public url', state: 'warning', what: 'no server listened here yet', todo: 'panda-secrets serve' },
    ];
  const found = (state: Finding['state'], what: string, todo?: string): Finding[] => [
    { check: 'public url', state, what, ...(todo !== undefined && { todo }) },
  ];
  try {
    const answer = await fetch(new URL('/api/v1/system/is_alive', url), {
      signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
      redirect: 'error',
    });
    const { success } = Object(await answer.json().catch(() => undefined)) as { success?: unknown };
    if (success === true) return found('fine', `${url} answers`);
    return found(
      'wrong',
      `${url} answers HTTP ${answer.status}, and not as this software does`,
      'look at the proxy in front',
    );
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } };
    const why = cause?.code ?? (name === 'TimeoutError' ? `no answer in ${ANSWER_SECONDS} seconds` : name);
    const todo =
      'start the server; else look at the name, the firewall and the certificate, as people and pilots come by this address';
    return found('wrong', `${url} does not answer (${why})`, todo);
  }
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  return (isIP(address) === 0 ? certificate.checkHost(host) : certificate.checkIP(address)) !== undefined;
}
