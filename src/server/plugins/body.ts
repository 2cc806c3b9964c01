import { isUtf8 } from 'node:buffer';
import { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { InvalidArgument } from '../../protocol/errors.ts';
import { BODY_SECONDS, MAX_REPORT_BYTES, SMALL_BODY_BYTES } from '../../protocol/limits.ts';
import { endSlowBody } from './body-time.ts';
import { checkJsonShape } from './json-shape.ts';
import { holdToProof } from './proven-request.ts';

const unzip = promisify(gunzip);

/**
 * Reads the body of each call as a JSON object, whatever its Content-Type says (some of PanDA's clients send none). A gzip body is
 * known by its first two bytes, with or without `Content-Encoding`, and taken from a caller who is known. An empty one is an object
 * without arguments. Nothing is read of a body that no route asks for.
 *
 * @throws {InvalidArgument} when it is larger than its call allows, too slow, not UTF-8 or not a JSON object, and when it is nested
 * deeper than `MAX_JSON_DEPTH`; never with a part of it
 */
export function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const { call } = request.routeOptions.config;
    if (!call) return undefined;
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'gzip' && encoding !== 'identity') {
      throw new InvalidArgument('the body may be compressed with gzip, or not at all (Content-Encoding)');
    }
    const most = call.maxBodyBytes ?? SMALL_BODY_BYTES;
    const body = whole(payload, most) ?? (await collect(payload, most));
    holdToProof(request, body);
    return parseObject(request.caller && isGzip(body) ? await expand(body, most) : body);
  });
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.body === undefined && request.method === 'POST') request.body = {};
    done();
  });
}

/**
 * Reads bodies of the calls before PanDA's v1 API: JSON, gzip or not, or a form, whatever their Content-Type says.
 *
 * @throws {InvalidArgument} as {@link readJsonBodies}
 */
export function readOlderBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (_request: unknown, payload: Readable) => {
    const sent = await collect(payload, MAX_REPORT_BYTES);
    const body = isGzip(sent) ? await expand(sent, MAX_REPORT_BYTES) : sent;
    if (body.length === 0 || /^\s*[{[]/.test(body.toString('latin1', 0, 64))) return parseObject(body);
    return Object.fromEntries(new URLSearchParams(body.toString('utf8')));
  });
}

/** Hands the body over as a stream, whatever its Content-Type says: for a route that keeps a file. */
export function streamBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, payload, done) => done(null, separate(request.raw, payload)));
}

/**
 * Reads and drops what is left of a body that was not wanted whole, for `BODY_SECONDS` at most. Otherwise the client, which is still
 * sending, would not get to read the answer, and the connection would not get to its next request.
 */
export function dropBody(request: FastifyRequest, reply: FastifyReply): void {
  endSlowBody(request, reply);
  request.raw.unpipe();
  request.raw.resume();
}

/** A stream whose reader may give up on it without closing the connection, and that fails when the body is not whole. */
function separate(request: IncomingMessage, payload: Readable): Readable {
  const stream = new PassThrough();
  request.on('close', () => {
    if (!request.complete) stream.destroy(new Error('the body broke off'));
  });
  payload.on('error', (error) => stream.destroy(error));
  // Its reader may still be asking whether it wants the body, and finds the error then: without a listener it would end the server.
  stream.on('error', () => {});
  return payload.pipe(stream);
}

/** A body that arrived with its headers, as most do: without waiting for the events of a stream, which cost more than the rest of reading it. */
function whole(payload: Readable, maxBytes: number): Buffer | undefined {
  if (!(payload instanceof IncomingMessage && payload.complete) || payload.destroyed) return undefined;
  // From Node 26 on a stream gives the pieces that it has one at a time.
  const pieces: Buffer[] = [];
  for (let piece: Buffer | null = payload.read(); piece !== null; piece = payload.read()) pieces.push(piece);
  const body = joined(pieces);
  if (body.length > maxBytes) throw tooLarge(maxBytes);
  return body;
}

function collect(payload: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(
      () => stop(new InvalidArgument(`the body did not arrive within ${BODY_SECONDS} seconds`)),
      BODY_SECONDS * 1000,
    );
    function onData(chunk: Buffer) {
      size += chunk.length;
      if (size > maxBytes) stop(tooLarge(maxBytes));
      else chunks.push(chunk);
    }
    function onEnd() {
      clearTimeout(timer);
      resolve(joined(chunks));
    }
    function stop(error: Error) {
      clearTimeout(timer);
      payload.off('data', onData).off('end', onEnd);
      reject(error);
    }
    payload.on('data', onData).on('end', onEnd).on('error', stop);
  });
}

function joined(pieces: readonly Buffer[]): Buffer {
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
}

function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}

async function expand(body: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    return await unzip(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new InvalidArgument('the body starts as gzip and is damaged');
  }
}

function parseObject(body: Buffer): unknown {
  if (body.length === 0) return {};
  // Decoding would replace a broken byte: a secret must arrive as it was sent or not at all.
  if (!isUtf8(body)) throw new InvalidArgument('the body is not valid UTF-8');
  checkJsonShape(body);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    throw new InvalidArgument('the body is not valid JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new InvalidArgument("the body must be a JSON object of the call's arguments");
  }
  return parsed;
}

function tooLarge(maxBytes: number): InvalidArgument {
  return new InvalidArgument(`the body is larger than the ${maxBytes} bytes allowed`);
}
