import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Readable } from 'node:stream';
import type { Envelope } from '../protocol/envelope.ts';
import { Misconfigured, Refused, Unauthenticated, Unavailable } from '../protocol/errors.ts';
import { REQUEST_TIMEOUT_SECONDS } from '../protocol/limits.ts';
import { explainFailure } from './failures.ts';
import { isLoopback } from './server-address.ts';

/** Gives the caller's bearer token each time one is needed. @throws Unauthenticated when there is none to give */
export type TokenSource = () => Promise<string>;

export interface TransportOptions {
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

/** What a call that succeeded brought. */
export interface Answer<T> {
  message: string;
  data: T;
}

/** A body that is not JSON. */
export interface Content {
  type: string;
  body: Uint8Array | Readable;
  /** Bytes, where they are known. */
  size?: number;
}

export type Query = Record<string, string | number | boolean | readonly (string | number)[] | null | undefined>;

/**
 * Calls of the v1 API over http or https on connections that are kept.
 *
 * Every method throws `Refused` when the server says `success: false`, `Unauthenticated` when it (or the token source)
 * does not accept who is calling, `Misconfigured` when the address must not be given a token, and `Unavailable` when
 * there is no answer or not one of PanDA's.
 */
export interface Transport {
  /** `https://HOST:PORT` */
  readonly origin: string;
  get<T>(path: string, query?: Query): Promise<Answer<T>>;
  post<T>(path: string, body: object): Promise<Answer<T>>;
  send<T>(path: string, query: Query, content: Content): Promise<Answer<T>>;
  /** The bytes that a call answers. */
  open(path: string, query: Query): Promise<Readable>;
  /** The bytes at an address of any server. The token goes along only when it is this transport's own. */
  openUrl(url: string): Promise<Readable>;
  close(): void;
}

export function createTransport(options: TransportOptions): Transport {
  const base = new URL(options.url);
  const request = createRequester(base, options);

  async function open(url: URL, query: Query = {}): Promise<Readable> {
    appendQuery(url, query);
    const response = await request.start(url, { method: 'GET', headers: { Accept: '*/*' } });
    if (response.statusCode === 200 && !isJson(response)) return response;
    await readAnswer(response, url);
    throw new Unavailable(`${where(url)} answered without the file's content`);
  }

  return {
    origin: base.origin,
    async get(path, query = {}) {
      const url = appendQuery(callUrl(base, path), query);
      return readAnswer(await request.startRepeatable(url, { method: 'GET', headers: jsonHeaders() }), url);
    },
    async post(path, body) {
      const url = callUrl(base, path);
      const text = Buffer.from(JSON.stringify(body));
      const headers = { ...jsonHeaders(), 'Content-Type': 'application/json', 'Content-Length': text.length };
      return readAnswer(await request.start(url, { method: 'POST', headers }, text), url);
    },
    async send(path, query, { type, body, size }) {
      const url = appendQuery(callUrl(base, path), query);
      const length = body instanceof Uint8Array ? body.length : size;
      const headers = {
        ...jsonHeaders(),
        'Content-Type': type,
        ...(length === undefined ? {} : { 'Content-Length': length }),
      };
      return readAnswer(await request.start(url, { method: 'POST', headers }, body), url);
    },
    open: (path, query) => open(callUrl(base, path), query),
    openUrl: (url) => open(new URL(url)),
    close: () => request.close(),
  };
}

function callUrl(base: URL, path: string): URL {
  return new URL(`/api/v1/${path}`, base);
}

/** A list is its key repeated; truth values are written as PanDA's Python clients write them. */
function appendQuery(url: URL, query: Query): URL {
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    if (typeof value === 'boolean') url.searchParams.append(key, value ? 'True' : 'False');
    else for (const item of Array.isArray(value) ? value : [value]) url.searchParams.append(key, String(item));
  }
  return url;
}

function jsonHeaders(): Record<string, string> {
  return { Accept: 'application/json' };
}

interface Requester {
  /** Sends a request and waits for the head of its answer. */
  start(url: URL, options: RequestOptions, body?: Uint8Array | Readable): Promise<IncomingMessage>;
  /** The same for a request that changes nothing: sent once more when a kept connection turns out to be closed. */
  startRepeatable(url: URL, options: RequestOptions): Promise<IncomingMessage>;
  close(): void;
}

function createRequester(base: URL, options: TransportOptions): Requester {
  const protocols = new Map<
    string,
    { request: typeof import('node:http').request; agent: import('node:http').Agent }
  >();

  /** Loaded when first needed and not by `import`, which for `node:http` also loads its WebSocket: 20 ms of each start. */
  function protocolOf(url: URL) {
    let protocol = protocols.get(url.protocol);
    if (!protocol) {
      if (url.protocol === 'https:') {
        const https = process.getBuiltinModule('node:https');
        protocol = { request: https.request, agent: new https.Agent(httpsAgentOptions(options)) };
      } else {
        const http = process.getBuiltinModule('node:http');
        protocol = { request: http.request, agent: new http.Agent({ keepAlive: true }) };
      }
      protocols.set(url.protocol, protocol);
    }
    return protocol;
  }

  async function start(url: URL, request: RequestOptions, body?: Uint8Array | Readable): Promise<IncomingMessage> {
    const authorization = url.origin === base.origin ? await authorize(url, options) : {};
    const { request: open, agent } = protocolOf(url);
    return await new Promise((resolve, reject) => {
      const outgoing = open(url, {
        ...request,
        agent,
        timeout: REQUEST_TIMEOUT_SECONDS * 1000,
        headers: { ...request.headers, ...authorization },
      });
      outgoing.on('response', resolve);
      outgoing.on('timeout', () => outgoing.destroy(new SilentServer()));
      outgoing.on('error', (error) =>
        reject(Object.assign(explainFailure(error, url), { reused: outgoing.reusedSocket, failure: error })),
      );
      if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
      else sendStream(body, outgoing);
    });
  }

  return {
    start,
    async startRepeatable(url, request) {
      try {
        return await start(url, request);
      } catch (error) {
        if (!isClosedConnection(error)) throw error;
        return await start(url, request);
      }
    },
    close() {
      for (const { agent } of protocols.values()) agent.destroy();
    },
  };
}

function httpsAgentOptions({ ca, verifyHost = true }: TransportOptions): import('node:https').AgentOptions {
  return {
    keepAlive: true,
    rejectUnauthorized: verifyHost,
    proxyEnv: process.env,
    ...(ca ? { ca: [...ca] } : {}),
  };
}

/** @throws {Misconfigured} rather than sending a token, and the secrets that follow it, readable over a network */
async function authorize(url: URL, { token, vo }: TransportOptions): Promise<Record<string, string>> {
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

function isClosedConnection(error: unknown): boolean {
  if (!(error instanceof Unavailable)) return false;
  const { reused, failure } = error as { reused?: boolean; failure?: { code?: string } };
  return reused === true && failure?.code === 'ECONNRESET';
}

/** A source that fails ends the request, whose 'error' event tells the caller. */
function sendStream(source: Readable, outgoing: import('node:http').ClientRequest): void {
  source.on('error', (error) => outgoing.destroy(error));
  outgoing.on('close', () => source.destroy());
  source.pipe(outgoing);
}

async function readAnswer<T>(response: IncomingMessage, url: URL): Promise<Answer<T>> {
  const text = await readText(response, url);
  if (response.statusCode !== 200) throw unexpectedStatus(response.statusCode ?? 0, url, response.headers.location);
  const { success, message, data } = parseEnvelope<T>(text, url);
  if (success) return { message, data };
  if (response.headers['www-authenticate'] !== undefined) throw new Unauthenticated(message);
  throw new Refused(message || 'the server refused this without a reason', data);
}

async function readText(response: IncomingMessage, url: URL): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk);
  } catch (error) {
    throw explainFailure(error as Error, url);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseEnvelope<T>(text: string, url: URL): Envelope<T> {
  let parsed: Partial<Envelope<T>> | null;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw notPanda(url);
  }
  if (parsed === null || typeof parsed !== 'object' || typeof parsed.success !== 'boolean') throw notPanda(url);
  const { success, message, data } = parsed;
  return { success, message: typeof message === 'string' ? message : '', data: data as T };
}

function notPanda(url: URL): Unavailable {
  return new Unavailable(
    `what ${where(url)} answered is not an answer of PanDA: is PANDA_URL_SSL the address of a PanDA server, ` +
      'with no login page or proxy in between?',
  );
}

function unexpectedStatus(status: number, url: URL, location: string | undefined): Unavailable | Unauthenticated {
  if (status === 401) return new Unauthenticated(`${where(url)} does not accept this token (HTTP 401)`);
  if (status === 404)
    return new Unavailable(
      `${where(url)} does not know this call (HTTP 404): is it a PanDA server of this API version?`,
    );
  if (location !== undefined)
    return new Unavailable(
      `${where(url)} sends elsewhere (HTTP ${status}): is PANDA_URL_SSL the server's own address?`,
    );
  const advice =
    status >= 500 ? 'it has a problem; try again later' : 'is PANDA_URL_SSL the address of a PanDA server?';
  return new Unavailable(`${where(url)} answered HTTP ${status}: ${advice}`);
}

function isJson(response: IncomingMessage): boolean {
  return response.headers['content-type']?.startsWith('application/json') ?? false;
}

/** The address as a message names it: without the query, in which names of secrets may stand. */
function where(url: URL): string {
  return url.origin + url.pathname;
}
