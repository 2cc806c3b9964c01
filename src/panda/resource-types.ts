/** PanDA's kinds of jobs by their needs. Queues of this system have no limits on memory. */
export const RESOURCE_TYPES = [
  { resource_name: 'SCORE', mincore: 1, maxcore: 1, minrampercore: null, maxrampercore: null },
  { resource_name: 'MCORE', mincore: 2, maxcore: null, minrampercore: null, maxrampercore: null },
] as const;

/** The name of the kind that a job with so many cores is of. */
export function resourceTypeOf(cores: number): string {
  return cores > 1 ? 'MCORE' : 'SCORE';
}
