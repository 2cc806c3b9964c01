import { hostname } from 'node:os';
import type { CustomFetch } from 'openid-client';
import { Misconfigured } from '../../protocol/errors.ts';
import { isLoopback } from '../../protocol/loopback.ts';
import { VERSION } from '../../protocol/version.ts';
import { createRequester } from '../requester.ts';
import type { TlsTrust } from '../tls-trust.ts';

/** By the name of the machine somebody tells their logins apart. */
const USER_AGENT = `panda-secrets/${VERSION} (${hostname().replace(/[^\x20-\x7e]|[()]/g, '?')})`;
/** Largest answer of an issuer, in bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * `fetch` for the OpenID library, over the connections that all calls use: they trust the certificates that the user's
 * environment names, and explain what goes wrong. Redirects are not followed.
 *
 * Throws Misconfigured for plain http to another machine, which would show the login to the network, and Unavailable.
 */
export function createIssuerFetch(
  trust: Partial<TlsTrust>,
  onSilence?: (origin: string) => void,
): { fetch: CustomFetch; close(): void } {
  // Nothing is sent to the server of `url`, a name that nobody has (RFC 2606), and nobody's token to others.
  const requester = createRequester({ url: 'https://nobody.invalid', vo: '', ...trust, onSilence });

  return {
    async fetch(address, { method, headers, body, signal }) {
      const url = new URL(address);
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
        throw new Misconfigured(
          `the issuer's address ${url.origin} is not https: a login there could be read by others`,
        );
      }
      const text = body === undefined || body === null ? undefined : Buffer.from(String(body));
      const { response } = await requester.start(
        url,
        {
          method,
          headers: { ...headers, 'user-agent': USER_AGENT, ...(text && { 'content-length': text.length }) },
          ...(signal && { signal }),
        },
        text,
      );
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) throw new Misconfigured(`${url.origin} is no issuer: its answer is too large`);
        chunks.push(chunk);
      }
      const answered = Object.entries(response.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value]),
      );
      const status = response.statusCode ?? 500;
      return new Response(size === 0 ? null : Buffer.concat(chunks), { status, headers: answered });
    },
    close: () => requester.close(),
  };
}
