import type { Delivery } from '../delivery/delivery.ts';
import type { Store } from '../store/store.ts';
import { readTraceSettings } from '../tracing/trace-settings.ts';
import type { Tracing } from '../tracing/tracing.ts';

/** Undefined where nobody asked for traces; then nothing of it is loaded. @throws {Misconfigured} as {@link readTraceSettings} */
export async function openTracing(environment: NodeJS.ProcessEnv): Promise<Tracing | undefined> {
  const settings = readTraceSettings(environment);
  if (!settings) return undefined;
  const { startTracing } = await import('../tracing/otlp.ts');
  return startTracing(settings);
}

/** The store, with a span for each write from its beginning until it is durable. */
export function tracedStore(store: Store, tracing: Tracing | undefined): Store {
  if (!tracing) return store;
  return {
    ...store,
    write: (...args) => tracing.step('store.write', () => store.write(...args)),
    grow: (...args) => tracing.step('store.write', () => store.grow(...args)),
  };
}

/** The delivery, with a span for giving jobs with their secrets. */
export function tracedDelivery(delivery: Delivery, tracing: Tracing | undefined): Delivery {
  if (!tracing) return delivery;
  return {
    ...delivery,
    giveJobs: (pilot, request) => tracing.step('delivery', () => delivery.giveJobs(pilot, request)),
    deliver: (job, pilot, offer) => tracing.step('delivery', () => delivery.deliver(job, pilot, offer)),
  };
}
