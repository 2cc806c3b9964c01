import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Events } from '../events/events.ts';
import type { Watched } from '../server/routes/watch.ts';
import { createWatchServer } from '../server/watch-server.ts';
import type { Installation } from './installation.ts';
import { createReadiness } from './readiness.ts';
import { createReadings } from './readings.ts';
import { originOf, type Settings } from './settings.ts';
import type { SharedCounts } from './workers/siblings.ts';

/** Readiness and metrics of a server, from before it has opened anything until it has closed everything. */
export interface Watching {
  /** For the server's own address. */
  watched: Watched;
  /** The origin of the address of its own, where there is one. */
  url: string | undefined;
  opened(installation: Installation): void;
  /** From now on the server is not ready. */
  drain(): void;
  close(): Promise<void>;
}

/** @throws as `listen` does */
export async function startWatching(
  settings: Pick<Settings, 'metricsListen'>,
  {
    clock,
    onEvent,
    listen,
    counts,
  }: {
    clock: () => number;
    onEvent: Events['listen'];
    listen(app: FastifyInstance, at: { host: string; port: number }): Promise<AddressInfo>;
    /** Where several processes are one server. */
    counts?: SharedCounts | undefined;
  },
): Promise<Watching> {
  const { metricsListen } = settings;
  const readiness = createReadiness();
  let opened: Installation | undefined;
  const notReady = () => readiness.check();
  const metrics = metricsListen && (await countEvents());

  async function countEvents(): Promise<Watched['metrics']> {
    // Loaded here, so that a server without it costs nothing.
    const { createMetrics } = await import('../metrics/metrics.ts');
    const counted = createMetrics(createReadings({ readiness, opened: () => opened, clock }), counts?.others);
    counts?.listen(() => counted.counts());
    onEvent((event) => counted.count(event));
    return () => counted.text();
  }

  const own = typeof metricsListen === 'object' ? metricsListen : undefined;
  const app = own && createWatchServer({ notReady, metrics });
  const at = app && (await listen(app, own));
  return {
    watched: { notReady, metrics: app ? undefined : metrics },
    url: at && originOf({ ...(own as { host: string }), port: at.port }),
    opened(installation) {
      opened = installation;
      readiness.opened(installation);
    },
    drain: () => readiness.drain(),
    close: async () => app?.close(),
  };
}
