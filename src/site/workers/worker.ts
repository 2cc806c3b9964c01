import { Buffer } from 'node:buffer';
import type { AddressInfo, Socket } from 'node:net';
import type { Counts } from '../../metrics/added-up.ts';
import type { AskPassphrase } from '../../sealing/root-keys.ts';
import { takeConnections } from '../../server/plugins/drain.ts';
import type { Settings } from '../settings.ts';
import type { FromWorker, Started, StartMessage, ToWorker } from './messages.ts';
import type { DoorName, Siblings } from './siblings.ts';

/** The end of the channel to the supervisor: `process`. */
export interface Channel {
  on(event: 'message', listener: (message: ToWorker, socket?: Socket) => void): unknown;
  send?(
    message: FromWorker,
    handle?: undefined,
    options?: undefined,
    callback?: (error: Error | null) => void,
  ): unknown;
}

/** A worker as it is told by its supervisor. */
export interface Membership {
  start: StartMessage;
  siblings: Siblings;
  /** Undefined where nobody sits at a terminal. */
  ask: AskPassphrase | undefined;
  /** It serves. */
  ready(seen: Started, acts: Acts): void;
  /** It stops by itself: it gets no more connections. */
  leave(): void;
}

/** What a worker does when it is told to. */
export interface Acts {
  /** Does the work from now on that one of the workers does for all. */
  lead(): void;
  /** @param settings those that are now in the file; undefined where these are wrong */
  reload(settings: Settings | undefined): Promise<{ isTaken: boolean; needingRestart: string[] }>;
  stop(): void;
}

/** Waits for what the worker is started with. @param stop while it starts */
export async function joinSupervisor(channel: Channel, stop: () => void): Promise<Membership> {
  const handlers: { [T in ToWorker['type']]?: (message: Extract<ToWorker, { type: T }>, socket?: Socket) => void } = {};
  // Of a supervisor that has ended it hears by the end of the channel.
  const send = (message: FromWorker) => channel.send?.(message, undefined, undefined, () => {});
  // They may come right behind the start.
  handlers.stop = stop;
  handlers.ping = () => send({ type: 'pong' });
  const start = await new Promise<StartMessage>((resolve) => {
    handlers.start = resolve;
    channel.on('message', (message, socket) => {
      const handle = handlers[message.type] as ((message: ToWorker, socket?: Socket) => void) | undefined;
      handle?.(message, socket);
    });
  });
  const doors = new Map<DoorName, (socket: Socket) => void>();
  const listening = new Map<DoorName, { resolve(address: AddressInfo): void; reject(error: Error): void }>();
  handlers.listening = ({ door, address }) => listening.get(door)?.resolve(address);
  handlers['not listening'] = ({ door, ...error }) =>
    listening.get(door)?.reject(Object.assign(new Error('the supervisor cannot listen'), error));
  handlers.connection = ({ door }, socket) => {
    // A client that has gone already leaves none.
    if (socket) doors.get(door)?.(socket);
  };
  handlers.handed = ({ door }) => send({ type: 'taken', door });

  const passphrases = new Map<string, PromiseWithResolvers<string>>();
  handlers.passphrase = ({ what, passphrase }) => {
    if (passphrase === undefined) passphrases.get(what)?.reject(new Error('no passphrase was given'));
    else passphrases.get(what)?.resolve(passphrase);
    passphrases.delete(what);
  };

  const counting = new Map<number, (others: Counts[]) => void>();
  let lastCount = 0;
  handlers.counted = ({ id, others }) => {
    counting.get(id)?.(others);
    counting.delete(id);
  };

  return {
    start,
    ask: start.canAsk
      ? (what) => {
          const asked = Promise.withResolvers<string>();
          passphrases.set(what, asked);
          send({ type: 'ask', what });
          return asked.promise;
        }
      : undefined,
    siblings: {
      count: start.workers,
      ticketKeys: Buffer.from(start.ticketKeys, 'base64'),
      async listen(app, door, at) {
        await app.ready();
        doors.set(door, takeConnections(app));
        const address = new Promise<AddressInfo>((resolve, reject) => listening.set(door, { resolve, reject }));
        send({ type: 'listen', door, at });
        return address;
      },
      turn: turnThrough(send, handlers),
      failures: {
        tell: (network) => send({ type: 'failure', network }),
        listen(count) {
          handlers.failure = ({ network }) => count(network);
        },
      },
      counts: {
        others(own) {
          const id = ++lastCount;
          const others = new Promise<Counts[]>((resolve) => counting.set(id, resolve));
          send({ type: 'metrics', id, own });
          return others;
        },
        listen(own) {
          handlers.count = () => void own().then((counts) => send({ type: 'counts', own: counts }));
        },
      },
    },
    ready(seen, { lead, reload, stop }) {
      handlers.lead = lead;
      handlers.reload = ({ settings }) => void reload(settings).then((so) => send({ type: 'reloaded', ...so }));
      handlers.stop = stop;
      send({ type: 'ready', seen });
    },
    leave: () => send({ type: 'leaving' }),
  };
}

/** Keeps the turn as long as it writes and nobody else wants to. */
function turnThrough(
  send: (message: FromWorker) => void,
  handlers: {
    turn?: (message: { type: 'turn'; isWanted: boolean }) => void;
    'turn wanted'?: (message: { type: 'turn wanted' }) => void;
  },
): Siblings['turn'] {
  let has = false;
  let isWanted = false;
  let isAsked = false;
  let granted: PromiseWithResolvers<void> | undefined;
  handlers.turn = (message) => {
    has = true;
    isAsked = false;
    isWanted = message.isWanted;
    granted?.resolve();
    granted = undefined;
  };
  handlers['turn wanted'] = () => {
    isWanted = true;
  };
  return {
    async take() {
      if (has) return;
      granted ??= Promise.withResolvers<void>();
      if (!isAsked) send({ type: 'turn' });
      isAsked = true;
      await granted.promise;
    },
    done(isMore) {
      if (isMore && !isWanted) return;
      has = false;
      isAsked = isMore;
      send({ type: 'turn back', isMore });
    },
  };
}
