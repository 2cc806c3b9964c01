import type { AddressInfo } from 'node:net';
import type { Counts } from '../../metrics/added-up.ts';
import type { Settings } from '../settings.ts';
import type { DoorName, ListenAt } from './siblings.ts';

/** What a worker is started with. It comes through the channel between the two processes, so that no secret of it is an argument or a variable. */
export interface StartMessage {
  type: 'start';
  /** As the supervisor read them. */
  settings: Settings;
  /** From 1. */
  number: number;
  workers: number;
  /** The supervisor's descriptor of a given socket. */
  socket?: number | undefined;
  /** Somebody sits at the supervisor's terminal. */
  canAsk: boolean;
  /** Base64. */
  ticketKeys: string;
}

/** From the supervisor to a worker. `connection` comes with its socket, and `handed` behind it, to be answered with `taken`. */
export type ToWorker =
  | StartMessage
  | { type: 'listening'; door: DoorName; address: AddressInfo }
  | { type: 'not listening'; door: DoorName; code?: string | undefined; syscall?: string | undefined }
  | { type: 'connection'; door: DoorName }
  | { type: 'handed'; door: DoorName }
  | { type: 'passphrase'; what: string; passphrase?: string }
  | { type: 'turn'; isWanted: boolean }
  | { type: 'turn wanted' }
  | { type: 'failure'; network: string }
  | { type: 'count' }
  | { type: 'counted'; id: number; others: Counts[] }
  | { type: 'lead' }
  | { type: 'ping' }
  | { type: 'reload'; settings?: Settings | undefined }
  | { type: 'stop' };

/** From a worker to the supervisor. */
export type FromWorker =
  | { type: 'listen'; door: DoorName; at: ListenAt }
  | { type: 'taken'; door: DoorName }
  | { type: 'ask'; what: string }
  | { type: 'ready'; seen: Started }
  | { type: 'turn' }
  | { type: 'turn back'; isMore: boolean }
  | { type: 'failure'; network: string }
  | { type: 'metrics'; id: number; own: Counts }
  | { type: 'counts'; own: Counts }
  | { type: 'pong' }
  | { type: 'reloaded'; isTaken: boolean; needingRestart: string[] }
  | { type: 'leaving' };

/** What a worker tells of its start. */
export interface Started {
  address: string;
  url: string;
  metricsUrl: string | undefined;
  isNew: boolean;
}

/** Names the supervisor of a worker, by its process. */
export const WORKER_VARIABLE = 'PANDA_SECRETS_WORKER_OF';

/** True in a process that a supervisor started as a worker of its own. */
export function isWorker({ env, ppid, connected }: Pick<NodeJS.Process, 'env' | 'ppid' | 'connected'>): boolean {
  return connected && env[WORKER_VARIABLE] === String(ppid);
}

/** Variables of a service manager, which are for the process alone that it started. */
export const OF_THE_MANAGER = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET'] as const;
