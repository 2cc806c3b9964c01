import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { LOOPBACK } from '../client/certificates.ts';

/** One request and its answer, as they passed. */
export interface Exchange {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  answer: Answer;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export type Request = Omit<Exchange, 'answer'>;

/** A proxy that ends TLS, and does what it likes. */
export interface Middle {
  url: string;
  /** The certificate that its victims trust. */
  ca: string;
  /** Everything that passed, in order. */
  exchanges: Exchange[];
  /** Changes a request on its way. */
  onRequest: (request: Request) => void;
  /** Changes an answer on its way back, or answers for the server. */
  onAnswer: (answer: Answer, request: Request) => void | Promise<void>;
  /** Sends a request of its own making, or one that it recorded. @returns the envelope */
  send(request: Request): Promise<{ success: boolean; message: string; data: unknown }>;
  /** The last request to a call. */
  last(call: string): Exchange;
}

/** Puts itself in front of the server at `url`, which must trust it as its proxy. */
export async function startMiddle(t: TestContext, url: string): Promise<Middle> {
  const middle: Middle = {
    url: '',
    ca: LOOPBACK.cert,
    exchanges: [],
    onRequest: () => {},
    onAnswer: () => {},
    send: async (message) => JSON.parse((await forward(url, message)).body.toString()),
    last(call) {
      const found = middle.exchanges.findLast(({ path }) => path.split('?', 1)[0] === `/api/v1/${call}`);
      if (!found) throw new Error(`no ${call} has passed`);
      return found;
    },
  };

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const message: Request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: await buffer(incoming),
    };
    const recorded = { ...message };
    middle.onRequest(message);
    const answer = await forward(url, message);
    middle.exchanges.push({ ...recorded, answer: { ...answer } });
    await middle.onAnswer(answer, message);
    const { 'transfer-encoding': _chunked, connection: _connection, ...headers } = answer.headers;
    outgoing.writeHead(answer.status, { ...headers, 'content-length': answer.body.length });
    outgoing.end(answer.body);
  }

  const server = createServer(LOOPBACK, (incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  middle.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return middle;
}

function forward(url: string, { method, path, headers, body }: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { connection: _connection, 'transfer-encoding': _chunked, ...rest } = headers;
    const kept = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const sending = request(new URL(path, url), {
      method,
      headers: {
        ...kept,
        'x-forwarded-proto': 'https',
        ...(method !== 'GET' && { 'content-length': body.length }),
      },
    });
    sending.on('error', reject).on('response', async (response) => {
      try {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) });
      } catch (error) {
        reject(error);
      }
    });
    sending.end(body);
  });
}
