import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ListenAt } from './siblings.ts';

/** A process that serves connections. It says when it has one: `taken`. */
export interface Taker {
  hand(socket: Socket): void;
}

/**
 * An address at which connections are accepted for other processes. Each goes to the one that has been free for longest, and waits while none is. A connection
 * that was on its way to one that ended is closed with it.
 */
export interface Door {
  /** @throws as Node's `listen` does */
  listen(at: ListenAt): Promise<AddressInfo>;
  /** From now on it gets connections. */
  add(taker: Taker): void;
  taken(taker: Taker): void;
  /** It gets no more. @param hasEnded the one that was on its way to it is lost */
  remove(taker: Taker, hasEnded: boolean): void;
  /** Accepts nothing more. @returns when all that was accepted is served, or after so many milliseconds */
  close(milliseconds: number): Promise<void>;
}

const CHECK_MILLISECONDS = 5;

export function createDoor(): Door {
  const servers: Server[] = [];
  const waiting: Socket[] = [];
  const takers = new Set<Taker>();
  /** The first has been free for longest. */
  const free = new Set<Taker>();
  /** This process keeps each open until the other one has it. */
  const underWay = new Map<Taker, Socket>();

  function handOver(): void {
    for (const taker of free) {
      const socket = waiting.shift();
      if (!socket) return;
      free.delete(taker);
      underWay.set(taker, socket);
      taker.hand(socket);
    }
  }

  function letGo(taker: Taker): void {
    underWay.get(taker)?.destroy();
    underWay.delete(taker);
  }

  async function accept(at: object): Promise<AddressInfo> {
    // Nothing of a connection is read here.
    const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true });
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      waiting.push(socket);
      handOver();
    });
    server.listen(at);
    await once(server, 'listening');
    servers.push(server);
    return server.address() as AddressInfo;
  }

  return {
    async listen(at) {
      if (!('host' in at && at.host === 'localhost')) return accept(at);
      // As Fastify does: at each address of that name, of which one must do.
      const [first, ...others] = await lookup(at.host, { all: true });
      const { port, ...address } = await accept({ host: first?.address, port: at.port });
      for (const { address: host } of others) await accept({ host, port }).catch(() => {});
      return { ...address, port };
    },
    add(taker) {
      if (takers.has(taker)) return;
      takers.add(taker);
      free.add(taker);
      handOver();
    },
    taken(taker) {
      letGo(taker);
      if (takers.has(taker)) free.add(taker);
      handOver();
    },
    remove(taker, hasEnded) {
      takers.delete(taker);
      free.delete(taker);
      if (hasEnded) letGo(taker);
    },
    async close(milliseconds) {
      for (const server of servers) server.close();
      const until = performance.now() + milliseconds;
      while (waiting.length + underWay.size > 0 && takers.size > 0 && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, CHECK_MILLISECONDS));
      }
      for (const socket of [...waiting, ...underWay.values()]) socket.destroy();
    },
  };
}
