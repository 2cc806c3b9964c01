import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request as the stub got it. */
interface SeenRequest {
  method: string;
  /** Without `/api/v1/`. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export type Handler = (request: SeenRequest, response: ServerResponse) => unknown;

/** A server that speaks the envelope and knows nothing else. */
export interface StubServer extends AsyncDisposable {
  url: string;
  seen: SeenRequest[];
}

/**
 * @param handlers by path without `/api/v1/`; what one returns is sent as JSON, unless it has answered by itself
 * @param tls key and certificate (PEM) for https
 */
export async function startStub(
  handlers: Record<string, Handler>,
  tls?: { key: string; cert: string },
): Promise<StubServer> {
  const seen: SeenRequest[] = [];
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '', 'http://stub');
    const one: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname.replace(/^\/api\/v1\//, ''),
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    seen.push(one);
    const handler = handlers[one.path];
    if (!handler) return response.writeHead(404).end('no such page');
    const answer = await handler(one, response);
    if (response.writableEnded || answer === undefined) return;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer));
  };
  const server: Server = tls ? createSecureServer(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function ok(data: unknown = null, message = 'OK') {
  return { success: true, message, data };
}

export function no(message: string, data: unknown = null) {
  return { success: false, message, data };
}

/** A token with these claims that nobody signed. */
export function unsignedToken(claims: Record<string, unknown> = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'RS256' })}.${part({ preferred_username: 'adoe', exp: now + 3600, ...claims })}.c2lnbmF0dXJl`;
}
