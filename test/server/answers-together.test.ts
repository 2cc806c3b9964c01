import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type FastifyInstance, fastify } from 'fastify';
import { getUserSecrets } from '../../src/protocol/calls/creds.ts';
import { sendAnswersTogether } from '../../src/server/plugins/answers-together.ts';
import { API, route } from '../../src/server/route.ts';
import { startServer } from './start.ts';

const GET = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const LAST = 'Connection: close\r\n';

/** An app with this plugin alone, and a connection to it. */
async function startApp(t: TestContext, addRoutes: (app: FastifyInstance) => void) {
  const app = fastify() as unknown as FastifyInstance;
  sendAnswersTogether(app);
  addRoutes(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  return { app, open: () => openSocket(t, port) };
}

async function openSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

test('requests that arrive in one turn are all taken before the first of them is answered', async (t) => {
  const sentBefore: boolean[][] = [];
  const { open } = await startApp(t, (app) => {
    const replies: { headersSent: boolean }[] = [];
    app.get('/', (_request, reply) => {
      sentBefore.push(replies.map(({ headersSent }) => headersSent));
      replies.push(reply.raw);
      reply.send('hello');
    });
  });
  const socket = await open();
  socket.write(GET('/').repeat(3) + GET('/', LAST));
  const answers = await text(socket);
  assert.equal(answers.match(/HTTP\/1.1 200 OK/g)?.length, 4);
  const none = [[], [false], [false, false], [false, false, false]];
  assert.deepEqual(sentBefore, none, 'as each request came, of those before it none was answered');
});

test('the server answers requests of several connections together, refusals too', async (t) => {
  const { url } = await startServer(t);
  const port = Number(new URL(url).port);
  const sockets = await Promise.all(Array.from({ length: 4 }, () => openSocket(t, port)));
  let taken: ServerResponse[] = [];
  let wasTogether = true;
  const take = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (request.socket.localPort !== port) return;
    if (taken.some(({ headersSent }) => headersSent)) wasTogether = false;
    taken.push(response);
  };
  diagnostics.subscribe('http.server.request.start', take);
  t.after(() => diagnostics.unsubscribe('http.server.request.start', take));
  const [alive, refusal] = [`${API}/system/is_alive`, `${API}/creds/get_user_secrets`];
  // What is sent at once arrives in one turn unless the machine is busy with other things: one round of many is enough.
  for (let round = 0; ; round++) {
    taken = [];
    wasTogether = true;
    const answered = sockets.map((socket) => once(socket, 'data'));
    for (const [n, socket] of sockets.entries()) socket.write(GET(n % 2 === 0 ? alive : refusal));
    await Promise.all(answered);
    if (wasTogether && taken.length === sockets.length) break;
    assert.ok(round < 1000, 'an answer was sent before the next request was taken, each time');
  }
});

test('an answer with secrets arrives whole and is wiped then, and one whose client went away as well', async (t) => {
  const texts: Buffer[] = [];
  const { open } = await startApp(t, (app) => {
    route(app, getUserSecrets, async (_args, request) => {
      const answer = Buffer.from('a secret');
      texts.push(answer);
      if (request.headers['x-gone']) request.raw.socket.destroy();
      return { text: answer };
    });
  });
  const path = `${API}/creds/get_user_secrets`;
  const [gone, there] = [await open(), await open()];
  gone.write(GET(path, 'X-Gone: 1\r\n'));
  there.write(GET(path, LAST));
  assert.match(await text(there), /\r\n\r\na secret$/);
  assert.equal(await text(gone), '');
  assert.deepEqual(texts.map(String), ['\0'.repeat(8), '\0'.repeat(8)]);
});

test('an answer that cannot be sent is an error of its own, and those beside it arrive', async (t) => {
  const { open } = await startApp(t, (app) => {
    app.get('/', async () => 'hello');
    app.get('/broken', async (_request, reply) => reply.header('x-broken', 'a\nb').send('never'));
    app.setErrorHandler((_error, _request, reply) => reply.removeHeader('x-broken').send('an error'));
  });
  const socket = await open();
  socket.write(GET('/') + GET('/broken') + GET('/', LAST));
  const answers = (await text(socket)).match(/hello|never|an error/g);
  assert.deepEqual(answers, ['hello', 'an error', 'hello']);
});

test('a stream goes on its way at once, and so do answers that are more than may wait', async (t) => {
  const order: string[] = [];
  const large = 'x'.repeat(1024 * 1024);
  const { open } = await startApp(t, (app) => {
    app.get('/stream', (_request, reply) => {
      setImmediate(() => order.push('end of the turn'));
      async function* read() {
        order.push('stream');
        yield 'a stream';
      }
      reply.send(Readable.from(read()));
    });
    app.get('/large', (_request, reply) => {
      reply.send(large);
      order.push(reply.raw.headersSent ? 'large' : 'large, later');
    });
  });
  const socket = await open();
  socket.write(GET('/large') + GET('/stream', LAST));
  const answers = await text(socket);
  assert.ok(answers.includes(large) && answers.includes('a stream'));
  assert.deepEqual(order, ['large', 'stream', 'end of the turn']);
});

test('a server that closes sends the answers that wait', async (t) => {
  let closed: Promise<void> | undefined;
  const { app, open } = await startApp(t, (own) => {
    own.get('/', (_request, reply) => {
      reply.send('hello');
      closed = app.close();
    });
  });
  const socket = await open();
  socket.write(GET('/', LAST));
  assert.match(await text(socket), /\r\n\r\nhello$/);
  await closed;
});
