import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { AnswerAt, ArgumentsAt, DownloadPath, GetPath, PostPath, UploadPath } from '../protocol/calls/calls.ts';
import type { Envelope } from '../protocol/envelope.ts';
import { Declined, Refused, Unauthenticated, Unavailable, UnknownCall } from '../protocol/errors.ts';
import { MAX_ANSWER_BYTES } from '../protocol/limits.ts';
import { explainFailure } from './failures.ts';
import { type ConnectionOptions, createRequester, type Started } from './requester.ts';

/** The answer of a call that succeeded. */
export interface Answer<T> {
  message: string;
  data: T;
}

/** A body that is not JSON. */
interface Content {
  type: string;
  /** A text is the path of a file, whose digest and size are found. */
  body: Uint8Array | Readable | string;
}

/**
 * Calls of the v1 API over http or https on connections that are kept. A call is named by its path, which gives arguments and
 * answer their types; an answer is not checked against them: another release of the server may answer otherwise.
 *
 * Every method throws `Refused` when the server says `success: false`, `Unauthenticated` when it (or the token source)
 * does not accept who is calling, `Misconfigured` when the address must not be given a token, and `Unavailable` when
 * there is no answer or not one of PanDA's.
 */
export interface Transport {
  /** `https://HOST:PORT` */
  readonly origin: string;
  get<P extends GetPath>(path: P, query: ArgumentsAt<P>): Promise<Answer<AnswerAt<P>>>;
  post<P extends PostPath>(path: P, body: ArgumentsAt<P>): Promise<Answer<AnswerAt<P>>>;
  /** Makes a call whose body is not JSON. */
  send<P extends UploadPath>(path: P, query: ArgumentsAt<P>, content: Content): Promise<Answer<AnswerAt<P>>>;
  /** The bytes that a call answers. */
  open<P extends DownloadPath>(path: P, query: ArgumentsAt<P>): Promise<Readable>;
  /** The bytes at an address of any server. The token goes along only when it is this transport's own. */
  openUrl(url: string): Promise<Readable>;
  close(): void;
}

export function createTransport(options: ConnectionOptions): Transport {
  const base = new URL(options.url);
  const request = createRequester(options);

  async function open(url: URL, query: object = {}): Promise<Readable> {
    appendQuery(url, query);
    const started = await request.start(url, { method: 'GET', headers: { Accept: '*/*' } });
    if (started.response.statusCode === 200 && !isJson(started.response)) return started.response;
    await readAnswer(started, url);
    throw new Unavailable(`${where(url)} answered without the file's content`);
  }

  return {
    origin: base.origin,
    async get(path, query) {
      const url = appendQuery(callUrl(base, path), query);
      return readAnswer(await request.start(url, { method: 'GET', headers: jsonHeaders() }), url);
    },
    async post(path, body) {
      const url = callUrl(base, path);
      const text = Buffer.from(JSON.stringify(body));
      const headers = { ...jsonHeaders(), 'Content-Type': 'application/json', 'Content-Length': text.length };
      return readAnswer(await request.start(url, { method: 'POST', headers }, text), url);
    },
    async send(path, query, { type, body }) {
      const url = appendQuery(callUrl(base, path), query);
      const headers = { ...jsonHeaders(), 'Content-Type': type };
      if (typeof body === 'string') {
        const { size, sha256 } = await measureFile(body);
        const options = { method: 'POST', headers: { ...headers, 'Content-Length': size } };
        return readAnswer(await request.start(url, options, createReadStream(body), sha256), url);
      }
      const length = body instanceof Uint8Array ? { 'Content-Length': body.length } : {};
      return readAnswer(await request.start(url, { method: 'POST', headers: { ...headers, ...length } }, body), url);
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
function appendQuery(url: URL, query: object): URL {
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    if (typeof value === 'boolean') url.searchParams.append(key, value ? 'True' : 'False');
    else for (const item of Array.isArray(value) ? value : [value]) url.searchParams.append(key, String(item));
  }
  return url;
}

/** A file's size in bytes and the digest (as `digestOf` writes it) by which its upload is signed: one reading for both. */
async function measureFile(path: string): Promise<{ size: number; sha256: string }> {
  // Not by an import: `node:crypto` takes a tenth of a command's time.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path)) {
    size += chunk.length;
    hash.update(chunk);
  }
  return { size, sha256: hash.digest('base64url') };
}

function jsonHeaders(): Record<string, string> {
  return { Accept: 'application/json' };
}

async function readAnswer<T>({ response, check }: Started, url: URL): Promise<Answer<T>> {
  const body = await readBody(response, url);
  check(body);
  const text = body.toString('utf8');
  if (response.statusCode === 503 || response.statusCode === 429)
    throw new Unavailable(`${url.origin} cannot answer now: ${reasonIn(text) ?? TRY_LATER}`);
  if (response.statusCode !== 200)
    throw unexpectedStatus(response.statusCode ?? 0, url, response.headers.location, reasonIn(text));
  const { success, message, data } = parseEnvelope<T>(text, url);
  if (success) return { message, data };
  if (response.headers['www-authenticate'] !== undefined) throw new Unauthenticated(message);
  throw new Refused(message || 'the server refused this without a reason', data);
}

async function readBody(response: IncomingMessage, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let room = MAX_ANSWER_BYTES;
  try {
    for await (const chunk of response) {
      room -= chunk.length;
      if (room < 0) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw explainFailure(error as Error, url);
  }
  if (room < 0) throw notPanda(url);
  return Buffer.concat(chunks);
}

/** Request Timeout and Too Early: the same request may be answered later. */
const PASSING: ReadonlySet<number> = new Set([408, 425]);

const TRY_LATER = 'it has a problem; try again later';

/** The server's own words; a proxy in front of one that does not run says nothing of use. */
function reasonIn(text: string): string | undefined {
  try {
    const { success, message } = JSON.parse(text);
    return success === false && typeof message === 'string' && message !== '' ? message : undefined;
  } catch {
    return undefined;
  }
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
    `${where(url)} did not answer as a PanDA server does: check that PANDA_URL_SSL is the address of one, ` +
      'with no login page or proxy in between',
  );
}

function unexpectedStatus(
  status: number,
  url: URL,
  location: string | undefined,
  reason: string | undefined,
): Unavailable | Unauthenticated {
  if (status === 401) return new Unauthenticated(`${where(url)} does not accept this token (HTTP 401)`);
  if (status === 404)
    return new UnknownCall(
      `${where(url)} does not know this call (HTTP 404): check that it is a PanDA server with API v1`,
    );
  if (location !== undefined)
    return new Unavailable(
      `${where(url)} answered with a redirect to another address (HTTP ${status}): PANDA_URL_SSL must be the server's own address`,
    );
  const advice = status >= 500 ? (reason ?? TRY_LATER) : 'check that PANDA_URL_SSL is the address of a PanDA server';
  const isDefinite = status >= 400 && status < 500 && !PASSING.has(status);
  return new (isDefinite ? Declined : Unavailable)(`${where(url)} answered HTTP ${status}: ${advice}`);
}

function isJson(response: IncomingMessage): boolean {
  return response.headers['content-type']?.startsWith('application/json') ?? false;
}

/** The address as a message names it: without the query, in which names of secrets may stand. */
function where(url: URL): string {
  return url.origin + url.pathname;
}
