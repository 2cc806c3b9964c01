import type { Driven } from './driver.ts';
import { childrenCpuSeconds, cpuSeconds } from './process-usage.ts';

/** One of those that are compared. */
export interface Contestant {
  name: string;
  pid: number;
  /** Further processes that do its work with it. */
  others?: readonly number[];
  /** The first process of the database that it asks, where that one can be looked at. */
  databasePid?: number | undefined;
  /** Done before each round, and not measured. */
  prepare?(seconds: number): Promise<void>;
  run(seconds: number): Promise<Driven>;
}

/** Medians over the rounds. Times in milliseconds, CPU in microseconds of the contestant's own processes, and of its database, for each unit. */
export interface Result extends Round {
  contestant: Contestant;
  /** Each round's, in order: what is compared is the rounds that ran beside each other. */
  rounds: Round[];
}

interface Round {
  perSecond: number;
  p50: number;
  p99: number;
  cpuMicros: number;
  /** NaN where it has none that can be looked at. */
  databaseMicros: number;
}

/** One round of each, then the next of each, so that what else the machine does slows them all alike. The first one is to warm up. */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Result[]> {
  const taken = contestants.map((): Round[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [n, contestant] of contestants.entries()) {
      await contestant.prepare?.(seconds);
      const before = usedBy(contestant);
      const driven = await contestant.run(seconds);
      const after = usedBy(contestant);
      if (round >= 0) taken[n]?.push(roundOf(driven, after.own - before.own, after.database - before.database));
    }
  }
  return contestants.map((contestant, n) => {
    const rounds = taken[n] ?? [];
    const middle = (field: keyof Round) => median(rounds.map((round) => round[field]));
    return {
      contestant,
      perSecond: middle('perSecond'),
      p50: middle('p50'),
      p99: middle('p99'),
      cpuMicros: middle('cpuMicros'),
      databaseMicros: middle('databaseMicros'),
      rounds,
    };
  });
}

/** One compared with another: the median over rounds that ran beside each other. */
export function ratio(a: Result, b: Result, field: keyof Round): number {
  return median(a.rounds.map((round, n) => round[field] / (b.rounds[n]?.[field] ?? Number.NaN)));
}

/** CPU seconds. */
function usedBy({ pid, others = [], databasePid }: Contestant): { own: number; database: number } {
  return {
    own: [pid, ...others].reduce((sum, one) => sum + cpuSeconds(one), 0),
    database: databasePid === undefined ? Number.NaN : cpuSeconds(databasePid) + childrenCpuSeconds(databasePid),
  };
}

function roundOf({ units, seconds, p50, p99 }: Driven, cpu: number, database: number): Round {
  return {
    perSecond: units / seconds,
    p50,
    p99,
    cpuMicros: (cpu / units) * 1e6,
    databaseMicros: (database / units) * 1e6,
  };
}

function median(numbers: readonly number[]): number {
  return quantile(
    [...numbers].sort((a, b) => a - b),
    0.5,
  );
}

/** @param ascending sorted */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  return ascending[Math.min(Math.floor(ascending.length * q), ascending.length - 1)] ?? Number.NaN;
}
