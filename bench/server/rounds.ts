import type { Driven } from './driver.ts';
import { cpuSeconds } from './process-usage.ts';

/** One of those that are compared. */
export interface Contestant {
  name: string;
  pid: number;
  /** Done before each round, and not measured. */
  prepare?(seconds: number): Promise<void>;
  run(seconds: number): Promise<Driven>;
}

/** Medians over the rounds. Times in milliseconds, CPU in microseconds of the contestant's own process for each unit. */
export interface Result {
  contestant: Contestant;
  perSecond: number;
  p50: number;
  p99: number;
  cpuMicros: number;
  /** Each round's, in order: what is compared is the rounds that ran beside each other. */
  rounds: Round[];
}

interface Round {
  perSecond: number;
  p50: number;
  p99: number;
  cpuMicros: number;
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
      const cpuBefore = cpuSeconds(contestant.pid);
      const driven = await contestant.run(seconds);
      const cpu = cpuSeconds(contestant.pid) - cpuBefore;
      if (round >= 0) taken[n]?.push(roundOf(driven, cpu));
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
      rounds,
    };
  });
}

/** One compared with another: the median over rounds that ran beside each other. */
export function ratio(a: Result, b: Result, field: 'perSecond' | 'p99' | 'cpuMicros'): number {
  return median(a.rounds.map((round, n) => round[field] / (b.rounds[n]?.[field] ?? Number.NaN)));
}

function roundOf({ units, seconds, p50, p99 }: Driven, cpu: number): Round {
  return { perSecond: units / seconds, p50, p99, cpuMicros: (cpu / units) * 1e6 };
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
