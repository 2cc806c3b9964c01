import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

/** The counts of one process, as they go to another one of the same server. */
export type Counts = MetricObjectWithValues<MetricValue<string>>[];

/** Parts of a unit, of a second in most cases. */
const GRID = 2 ** 20;

/**
 * What a process counted, rounded down so that sums are the same in whatever order they are made. Sums of other fractions differ by their last bit, and
 * Prometheus takes a count that went down by that for one that began anew.
 */
export async function countsOf(registry: Registry): Promise<Counts> {
  const metrics = await registry.getMetricsAsJSON();
  const round = ({ value, ...rest }: MetricValue<string>) => ({ ...rest, value: Math.floor(value * GRID) / GRID });
  return metrics.map((metric) => ({ ...metric, values: metric.values.map(round) }));
}

/** The counts of several processes as those of one. */
export function addedUp(counts: readonly Counts[]): Registry {
  return AggregatorRegistry.aggregate([...counts]);
}

/** The same, to be added up with those of others. */
export function sumOf(counts: readonly Counts[]): Promise<Counts> {
  return addedUp(counts).getMetricsAsJSON();
}
