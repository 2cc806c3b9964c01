import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Counts } from '../../metrics/added-up.ts';
import type { SharedFailures } from '../../server/plugins/failed-requests.ts';
import type { WriteTurn } from '../../store/group-commit.ts';

/** What a server listens for: its calls, or those who watch it on an address of their own. */
export type DoorName = 'calls' | 'watch';

export type ListenAt = { host: string; port: number } | { fd: number };

/** The other workers of the same server, as one of them sees them. A server that is one process has none. */
export interface Siblings {
  /** How many workers there are, this one counted. */
  count: number;
  /** Has an app serve its share of the connections that come there. @throws as Node's `listen` does */
  listen(app: FastifyInstance, door: DoorName, at: ListenAt): Promise<AddressInfo>;
  /** To write the SQLite database that they share. */
  turn: WriteTurn;
  failures: SharedFailures;
  /** With which all resume sessions of TLS that one of them began. */
  ticketKeys: Buffer;
  counts: SharedCounts;
}

export interface SharedCounts {
  /** What the others, and those that have ended, counted. @param own what this one did */
  others(own: Counts): Promise<Counts[]>;
  /** Has others ask for this one's. */
  listen(own: () => Promise<Counts>): void;
}
