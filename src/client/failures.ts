import { Unavailable } from '../protocol/errors.ts';
import { REQUEST_TIMEOUT_SECONDS } from '../protocol/limits.ts';

/**
 * A broken or impossible connection in words that say what to do.
 *
 * @param error of `node:http`, `node:net` or `node:tls`; its `code` decides
 */
export function explainFailure(error: Error & { code?: string }, url: URL): Unavailable {
  const code = error.code ?? '';
  const reason =
    REASONS[code] ?? (isCertificateProblem(code) ? UNTRUSTED : `cannot be reached (${code || error.name})`);
  return new Unavailable(`${url.origin} ${reason}`, { cause: error });
}

const UNTRUSTED =
  "has a certificate that is not trusted here. If it is your site's own, name the certificate of its issuer in " +
  'SSL_CERT_FILE, or the folder with it in X509_CERT_DIR';

const REFUSED =
  'does not answer: nothing listens there. Check that the server is running ("panda-secrets serve"), and that PANDA_URL_SSL is its address';
const NO_ROUTE = 'cannot be reached from this machine: check the network, and that PANDA_URL_SSL is right';
const NO_NAME = 'cannot be found: no such host name. Check PANDA_URL_SSL and the network';
const NOT_HTTP = 'does not speak http there: if it is an https server, write https:// in PANDA_URL_SSL';

const REASONS: Record<string, string> = {
  ECONNREFUSED: REFUSED,
  ENOTFOUND: NO_NAME,
  EAI_AGAIN: NO_NAME,
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  ETIMEDOUT: `did not answer within ${REQUEST_TIMEOUT_SECONDS} seconds: it is overloaded, or something between drops what is sent. Try again later`,
  ECONNRESET: 'closed the connection without an answer: if it is an https server, write https:// in PANDA_URL_SSL',
  EPIPE: 'closed the connection before everything was sent. Try again',
  EPROTO: 'does not speak https there: if it is a server on this machine, write http:// in PANDA_URL_SSL',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'does not speak https there: if it is a server on this machine, write http:// in PANDA_URL_SSL',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'does not speak https there: if it is a server on this machine, write http:// in PANDA_URL_SSL',
  HPE_INVALID_CONSTANT: NOT_HTTP,
  HPE_INVALID_VERSION: NOT_HTTP,
  CERT_HAS_EXPIRED: 'has a certificate that has expired: tell its operator',
  CERT_NOT_YET_VALID: "has a certificate that is not valid yet: check this machine's clock",
  ERR_TLS_CERT_ALTNAME_INVALID:
    'has a certificate for another host name: check that PANDA_URL_SSL names the server as its certificate does',
};

/** Codes of OpenSSL's verification, as `node:tls` reports them. */
function isCertificateProblem(code: string): boolean {
  return /CERT|SIGNATURE|ISSUER|CRL|SELF_SIGNED/.test(code);
}
