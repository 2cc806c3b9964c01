import type { Agent, ClientRequest, IncomingMessage, RequestOptions, request } from 'node:http';
import type { AgentOptions } from 'node:https';
import type { Readable } from 'node:stream';
import { Misconfigured } from '../protocol/errors.ts';
import { REQUEST_TIMEOUT_SECONDS, SILENCE_SECONDS } from '../protocol/limits.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { explainFailure } from './failures.ts';
import { explainProxyFailure, proxyVariables } from './proxy.ts';

/** Gives the caller's bearer token each time one is needed. @throws Unauthenticated when there is none to give */
export type TokenSource = () => Promise<string>;

/** Signs each request for itself, where a token would be the same on all of them (`pilot-session.ts`). */
export interface RequestSigner {
  /**
   * Headers for one request that is sent now.
   *
   * @param bodyDigest `digestOf` its body
   * @returns `check`, which the answer must pass: it returns for the server's own and throws otherwise
   */
  sign(request: { method: string; url: URL; bodyDigest: string }): Promise<{
    headers: Record<string, string>;
    check(answer: IncomingMessage, body: Uint8Array): void;
  }>;
}

export interface ConnectionOptions {
  /** Scheme, host and port of the server; a path is not looked at. */
  url: string;
  /** Who the caller is; with neither of these two, nobody. */
  token?: TokenSource | undefined;
  signer?: RequestSigner | undefined;
  /** The VO that the caller speaks for: `VO`, `VO:ROLE` or `VO.ROLE`. */
  vo: string;
  /** Certificates (PEM) to trust; Node's own list when left out. */
  ca?: readonly string[] | undefined;
  /** Told when the server has a request and has not answered it for `SILENCE_SECONDS`. */
  onSilence?: ((origin: string) => void) | undefined;
  /** Both times, in seconds, where they are not those of `limits.ts`. */
  patience?: { silence: number; timeout: number } | undefined;
  /** `false` turns the check of the server's certificate off, as `PANDA_VERIFY_HOST=off` does. */
  verifyHost?: boolean | undefined;
}

/** Sends requests to one server, and to others without the caller's token, on connections that are kept. */
export interface Requester {
  /**
   * Sends a request and waits for the head of its answer. A GET, which changes nothing, is sent once more when a kept
   * connection turns out to be closed.
   *
   * @param bodyDigest `digestOf` the body, where it is a stream and requests are signed
   * @throws Misconfigured rather than sending a token readable over a network; Unavailable when there is no answer
   */
  start(url: URL, options: RequestOptions, body?: Uint8Array | Readable, bodyDigest?: string): Promise<Started>;
  close(): void;
}

export interface Started {
  response: IncomingMessage;
  /** Throws when the body that was read is not what the server answered. */
  check(body: Uint8Array): void;
}

export function createRequester(options: ConnectionOptions): Requester {
  const { origin } = new URL(options.url);
  const protocols = new Map<string, Protocol>();
  let isClosed = false;
  const { patience = { silence: SILENCE_SECONDS, timeout: REQUEST_TIMEOUT_SECONDS } } = options;

  function protocolOf(name: string): Protocol {
    const known = protocols.get(name) ?? loadProtocol(name, options);
    protocols.set(name, known);
    return known;
  }

  async function start(
    url: URL,
    message: RequestOptions,
    body?: Uint8Array | Readable,
    bodyDigest?: string,
  ): Promise<Started> {
    const caller = url.origin === origin ? await authorize(url, options, message, body, bodyDigest) : NOBODY;
    const { request, agent } = protocolOf(url.protocol);
    return await new Promise((resolve, reject) => {
      const outgoing = request(url, {
        ...message,
        agent,
        timeout: patience.timeout * 1000,
        headers: { ...message.headers, ...caller.headers },
      });
      const stopListening = tellOfSilence(outgoing, patience.silence, () => options.onSilence?.(url.origin));
      outgoing.on('response', (response) => resolve({ response, check: (content) => caller.check(response, content) }));
      for (const event of ['response', 'close']) outgoing.on(event, stopListening);
      outgoing.on('timeout', () => outgoing.destroy(new SilentServer()));
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const repeatable =
          !isClosed && message.method === 'GET' && outgoing.reusedSocket && error.code === 'ECONNRESET';
        if (repeatable) resolve(start(url, message));
        else reject(explainProxyFailure(error, url, process.env) ?? explainFailure(error, url));
      });
      if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
      else sendStream(body, outgoing);
    });
  }

  return {
    start,
    close() {
      isClosed = true;
      for (const { agent } of protocols.values()) agent.destroy();
    },
  };
}

interface Protocol {
  request: typeof request;
  agent: Agent;
}

/** Loaded when first needed and not by `import`, which for `node:http` also loads its WebSocket: 20 ms of each start. */
function loadProtocol(name: string, options: ConnectionOptions): Protocol {
  if (name === 'https:') {
    const https = process.getBuiltinModule('node:https');
    return { request: https.request, agent: new https.Agent(secureOptions(options)) };
  }
  const http = process.getBuiltinModule('node:http');
  return { request: http.request, agent: new http.Agent({ keepAlive: true }) };
}

function secureOptions({ ca, verifyHost = true }: ConnectionOptions): AgentOptions {
  return {
    keepAlive: true,
    rejectUnauthorized: verifyHost,
    proxyEnv: proxyVariables(process.env),
    ...(ca ? { ca: [...ca] } : {}),
  };
}

type Caller = Awaited<ReturnType<RequestSigner['sign']>>;

const NOBODY: Caller = { headers: {}, check: () => {} };

async function authorize(
  url: URL,
  { token, signer, vo }: ConnectionOptions,
  { method = 'GET' }: RequestOptions,
  body: Uint8Array | Readable | undefined,
  bodyDigest: string | undefined,
): Promise<Caller> {
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw new Misconfigured(
      `${url.origin} is plain http: your token and secrets would cross the network readable by others. ` +
        'Use the https:// address of the server (PANDA_URL_SSL)',
    );
  }
  if (token) return { headers: { Authorization: `Bearer ${await token()}`, Origin: vo }, check: () => {} };
  if (!signer) return { headers: { Origin: vo }, check: () => {} };
  // Loaded where it is needed: `node:crypto` takes a tenth of a command's time.
  const { digestOf } = await import('../protocol/request-proof.ts');
  const digest = body instanceof Uint8Array || body === undefined ? digestOf(body ?? '') : bodyDigest;
  if (digest === undefined) throw new Error('a stream without its digest cannot be signed');
  const { headers, check } = await signer.sign({ method, url, bodyDigest: digest });
  return { headers: { ...headers, Origin: vo }, check };
}

/** @returns what ends it */
function tellOfSilence(outgoing: ClientRequest, seconds: number, tell: () => void): () => void {
  // A body that is still on its way is no silence.
  const look = () => (outgoing.writableFinished || !outgoing.socket?.bytesWritten ? tell() : arm());
  let timer: NodeJS.Timeout;
  const arm = () => {
    timer = setTimeout(look, seconds * 1000);
    timer.unref();
  };
  arm();
  return () => clearTimeout(timer);
}

class SilentServer extends Error {
  readonly code = 'ETIMEDOUT';
}

/** A source that fails ends the request, whose 'error' event tells the caller. */
function sendStream(source: Readable, outgoing: ClientRequest): void {
  source.on('error', (error) => outgoing.destroy(error));
  outgoing.on('close', () => source.destroy());
  source.pipe(outgoing);
}
