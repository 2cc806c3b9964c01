import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { DRAIN_SECONDS } from '../../protocol/limits.ts';

const SWEEP_MILLISECONDS = 50;

/**
 * When the server closes, it takes no new connection, lets the requests that have begun finish, for `DRAIN_SECONDS` at most, and closes each connection
 * as soon as nothing runs on it: a client that keeps it open would hold up the end. Each answer from then on says `Connection: close`. A
 * connection on which nothing runs stays for a little longer: a request may be on its way, on a new one or on one that is used all the time, whose
 * client then learns of the end by the answer.
 *
 * @param lastRequestsMilliseconds that time; 0 closes such connections at once
 */
export function drainOnClose(app: FastifyInstance, lastRequestsMilliseconds = 0): void {
  let isClosing = false;
  const open = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  // Of requests that had begun before; Fastify says it in answers to those that come later.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (isClosing) reply.header('connection', 'close');
    done();
  });
  app.addHook('preClose', async () => {
    isClosing = true;
    const since = performance.now();
    const closeIdle = app.server.closeIdleConnections.bind(app.server);
    const isTimeForLastRequests = () => performance.now() - since < lastRequestsMilliseconds;
    // Node closes them when it closes a server, and takes a connection on which nothing came yet for one of them.
    if (isTimeForLastRequests()) app.server.closeIdleConnections = () => {};
    const sweep = setInterval(() => {
      // Behind the reading of what has come: on a busy machine that may be a request which waits since before the time was over.
      if (!isTimeForLastRequests()) setImmediate(closeIdle);
    }, SWEEP_MILLISECONDS).unref();
    const impatient = setTimeout(() => {
      // Those of TLS that have not shaken hands are no connections of HTTP yet.
      for (const socket of open) socket.destroy();
    }, DRAIN_SECONDS * 1000).unref();
    const stop = () => {
      clearInterval(sweep);
      clearTimeout(impatient);
    };
    if (app.server.listening) {
      app.server.once('close', stop);
      return;
    }
    // Node waits for connections that it accepted, and for none that were given to it.
    while (open.size > 0) await once(open.values().next().value as Socket, 'close');
    stop();
  });
}

/**
 * Has a server that does not listen serve connections which another process accepted.
 *
 * @returns takes one
 */
export function takeConnections({ server }: FastifyInstance): (socket: Socket) => void {
  // Node begins to look for slow headers when a server listens.
  server.emit('listening');
  return (socket) => {
    // As those that a server of Node accepts: the client may have said all that it will.
    socket.allowHalfOpen = true;
    server.emit('connection', socket);
  };
}
