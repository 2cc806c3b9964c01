import type { Administration } from '../protocol/administration.ts';
import type { Launching } from '../protocol/launching.ts';
import { administrationCalls } from './administration.ts';
import { type JobLogCalls, jobLogCalls } from './job-logs.ts';
import { type JobCalls, jobCalls, type PilotCalls, pilotCalls } from './jobs.ts';
import { launchingCalls } from './launching.ts';
import { type LoginCalls, loginCalls } from './logins.ts';
import type { ConnectionOptions } from './requester.ts';
import { type SandboxCalls, sandboxCalls } from './sandboxes.ts';
import { type SecretCalls, secretCalls } from './secrets.ts';
import { type SystemCalls, systemCalls } from './system.ts';
import { type TaskCalls, taskCalls } from './tasks.ts';
import { createTransport } from './transport.ts';

export interface ClientOptions extends ConnectionOptions {
  /** Another server for sandboxes (`PANDACACHE_URL`). */
  cacheUrl?: string;
}

/** The PanDA protocol as functions; one object talks to one server as one caller. */
export interface Client
  extends SecretCalls,
    TaskCalls,
    JobCalls,
    JobLogCalls,
    PilotCalls,
    SandboxCalls,
    SystemCalls,
    LoginCalls {
  /** `https://HOST:PORT` of the server. */
  readonly origin: string;
  /** The calls of an operator. */
  readonly administration: Administration;
  /** The calls of a launcher. */
  readonly launching: Launching;
  /** Closes the connections; running calls fail. */
  close(): void;
}

/**
 * A client of a PanDA server.
 *
 * @example
 *   const client = createClient({ url: 'https://panda.example.org', token: async () => idToken, vo: 'panda' });
 *   await client.setSecret(wireName('MY_SECRET'), 'random_string');
 *   client.close();
 */
export function createClient(options: ClientOptions): Client {
  const transport = createTransport(options);
  const cache =
    options.cacheUrl === undefined || new URL(options.cacheUrl).origin === transport.origin
      ? transport
      : createTransport({ ...options, url: options.cacheUrl });

  return {
    origin: transport.origin,
    administration: administrationCalls(transport),
    launching: launchingCalls(transport),
    ...secretCalls(transport),
    ...taskCalls(transport),
    ...jobCalls(transport),
    ...jobLogCalls(transport),
    ...pilotCalls(transport),
    ...sandboxCalls(transport, cache),
    ...systemCalls(transport),
    ...loginCalls(transport),
    close() {
      transport.close();
      cache.close();
    },
  };
}
