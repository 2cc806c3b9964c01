import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type FastifyInstance, fastify } from 'fastify';
import { drainOnClose, takeConnections } from '../../src/server/plugins/drain.ts';

/** An app that does not listen, and something else that accepts connections for it. */
async function startApp(t: TestContext, options: object, addRoutes: (app: FastifyInstance) => void = () => {}) {
  const app = fastify(options) as unknown as FastifyInstance;
  drainOnClose(app, 200);
  addRoutes(app);
  await app.ready();
  const take = takeConnections(app);
  const door = createServer(take).listen(0, '127.0.0.1');
  await once(door, 'listening');
  t.after(() => door.close());
  t.after(() => app.close());
  return {
    app,
    async open(): Promise<Socket> {
      const socket = connect((door.address() as AddressInfo).port, '127.0.0.1');
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    },
  };
}

test('Node ends slow headers on a connection that it was given', async (t) => {
  const { open } = await startApp(t, { http: { headersTimeout: 100, connectionsCheckingInterval: 20 } });
  const socket = await open();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
  assert.match(await text(socket), /408/);
});

test('an app that closes waits for what has begun on a connection that it was given', async (t) => {
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const { app, open } = await startApp(t, {}, (routes) => {
    routes.get('/', async () => {
      begun.resolve();
      await end.promise;
      return 'hello';
    });
  });
  const [busy, idle] = [await open(), await open()];
  busy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await begun.promise;
  let isClosed = false;
  const closed = app.close().then(() => {
    isClosed = true;
  });
  await once(idle.resume(), 'close');
  assert.equal(isClosed, false);
  end.resolve();
  assert.match(await text(busy), /connection: close.*hello/is);
  await closed;
});
