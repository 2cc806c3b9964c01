import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

/** The counts of one process, as they go to another one of the same server. */
export type Counts = MetricObjectWithValues<MetricValue<string>>[];

/** The counts of several processes as those of one. */
export function addedUp(counts: readonly Counts[]): Registry {
  return AggregatorRegistry.aggregate([...counts]);
}

/** The same, to be added up with those of others. */
export function sumOf(counts: readonly Counts[]): Promise<Counts> {
  return addedUp(counts).getMetricsAsJSON();
}
