import type { Agent, ClientRequest, IncomingMessage, RequestOptions, request } from 'node:http';
import type { AgentOptions } from 'node:https';
import type { Readable } from 'node:stream';
import { Misconfigured } from '../protocol/errors.ts';
import { REQUEST_TIMEOUT_SECONDS } from '../protocol/limits.ts';
import { explainFailure } from './failures.ts';
import { isLoopback } from './server-address.ts';

/** Gives the caller's bearer token each time one is needed. @throws Unauthenticated when there is none to give */
export type TokenSource = () => Promise<string>;

export interface ConnectionOptions {
  /** Scheme, host and port of the server; a path is not looked at. */
  url: string;
  token: TokenSource;
  /** The VO that the caller speaks for: `VO`, `VO:ROLE` or `VO.ROLE`. */
  vo: string;
  /** Certificates (PEM) to trust; Node's own list when left out. */
  ca?: readonly string[] | undefined;
  /** `false` turns the check of the server's certificate off, as `PANDA_VERIFY_HOST=off` does. */
  verifyHost?: boolean | undefined;
}

/** Sends requests to one server, and to others without the caller's token, on connections that are kept. */
export interface Requester {
  /**
   * Sends a request and waits for the head of its answer. A GET, which changes nothing, is sent once more when a kept
   * connection turns out to be closed.
   *
   * @throws Misconfigured rather than sending a token readable over a network; Unavailable when there is no answer
   */
  start(url: URL, options: RequestOptions, body?: Uint8Array | Readable): Promise<IncomingMessage>;
  close(): void;
}

export function createRequester(options: ConnectionOptions): Requester {
  const { origin } = new URL(options.url);
  const protocols = new Map<string, Protocol>();

  function protocolOf(name: string): Protocol {
    const known = protocols.get(name) ?? loadProtocol(name, options);
    protocols.set(name, known);
    return known;
  }

  async function start(url: URL, message: RequestOptions, body?: Uint8Array | Readable): Promise<IncomingMessage> {
    const authorization = url.origin === origin ? await authorize(url, options) : {};
    const { request, agent } = protocolOf(url.protocol);
    return await new Promise((resolve, reject) => {
      const outgoing = request(url, {
        ...message,
        agent,
        timeout: REQUEST_TIMEOUT_SECONDS * 1000,
        headers: { ...message.headers, ...authorization },
      });
      outgoing.on('response', resolve);
      outgoing.on('timeout', () => outgoing.destroy(new SilentServer()));
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const repeatable = message.method === 'GET' && outgoing.reusedSocket && error.code === 'ECONNRESET';
        if (repeatable) resolve(start(url, message));
        else reject(explainFailure(error, url));
      });
      if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
      else sendStream(body, outgoing);
    });
  }

  return {
    start,
    close() {
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
    proxyEnv: process.env,
    ...(ca ? { ca: [...ca] } : {}),
  };
}

async function authorize(url: URL, { token, vo }: ConnectionOptions): Promise<Record<string, string>> {
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw new Misconfigured(
      `${url.origin} is plain http: your token and secrets would cross the network readable by others. ` +
        'Use the https:// address of the server (PANDA_URL_SSL)',
    );
  }
  return { Authorization: `Bearer ${await token()}`, Origin: vo };
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
