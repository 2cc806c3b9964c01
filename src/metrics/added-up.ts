import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

/** The counts of one process, as they go to another one of the same server. */
export type Counts = MetricObjectWithValues<MetricValue<string>>[];

/** The counts of several processes as those of one. */
export function addedUp(counts: readonly Counts[]): Registry {
  return AggregatorRegistry.aggregate([...counts]);
}

/** Those of processes that have ended: their numbers only rise, and no state of theirs is left. */
export async function countsOfEnded(counts: readonly Counts[]): Promise<Counts> {
  const all = await addedUp(counts).getMetricsAsJSON();
  return all.filter(({ type }) => RISING.has(String(type)));
}

const RISING = new Set(['counter', 'histogram']);
