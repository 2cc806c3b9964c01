import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, type } from 'node:os';
import { join } from 'node:path';
import { peakMemoryBytes } from './process-usage.ts';
import { type Result, ratio } from './rounds.ts';

/** A comparison: the first of the results is this server's. */
export interface Subject {
  title: string;
  results: Result[];
  /** Those against results that are not there are left out. */
  goals: readonly Goal[];
}

/** The percentage of the rate of `against` that a result is to reach: the first one, unless `of` names another. */
export interface Goal {
  of?: string;
  against: string;
  percent: number;
  /** True where it is CPU that counts, and the least that is best. */
  cpu?: boolean;
}

/** The tables in Markdown, as they stand in docs/performance.md. */
export function markdownOf(subject: Subject): string {
  const { title, results, goals } = subject;
  const [own] = results;
  if (!own) return '';
  const asksDatabase = results.some(({ databaseMicros }) => !Number.isNaN(databaseMicros));
  const rows = results.map((result) =>
    cells([
      result.contestant.name,
      result.perSecond.toFixed(0),
      result.p50.toFixed(2),
      result.p99.toFixed(2),
      result.cpuMicros.toFixed(0),
      ...(asksDatabase ? [Number.isNaN(result.databaseMicros) ? '' : result.databaseMicros.toFixed(0)] : []),
      (peakMemoryBytes(result.contestant.pid) / 2 ** 20).toFixed(0),
      result === own ? '' : percent(ratio(own, result, 'perSecond')),
      result === own ? '' : percent(ratio(own, result, 'cpuMicros')),
    ]),
  );
  return [
    `### ${title}`,
    '',
    cells([
      ...['', 'per second', 'p50 ms', 'p99 ms', 'CPU µs each', ...(asksDatabase ? ['of PostgreSQL'] : [])],
      ...['peak MB', 'server ÷ this', 'in CPU'],
    ]),
    `|---|--:|--:|--:|--:|${asksDatabase ? '--:|' : ''}--:|--:|--:|`,
    ...rows,
    '',
    ...goals.flatMap((goal) => verdicts(results, goal)),
    '',
  ].join('\n');
}

/** One line, or none where the other did not run. */
function verdicts(results: readonly Result[], { of, against, percent: goal, cpu = false }: Goal): string[] {
  const named = (name: string) => results.find(({ contestant }) => contestant.name === name);
  const [own, other] = [of ? named(of) : results[0], named(against)];
  if (!own || !other) return [];
  const share = ratio(own, other, cpu ? 'cpuMicros' : 'perSecond');
  const reached = (cpu ? share * 100 <= goal : share * 100 >= goal) ? 'reached' : 'not reached';
  const wanted = `${cpu ? 'at most ' : ''}${goal} % of ${against}${cpu ? ', in CPU' : ''}`;
  return [`Goal${of ? ` of ${of}` : ''}: ${wanted}: ${percent(share)}, ${reached}.`];
}

function cells(texts: readonly string[]): string {
  return `| ${texts.join(' | ')} |`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** On what it ran, in one line. @param folder where the databases are */
export function machineOf(folder: string): string {
  const [cpu] = cpus();
  return (
    `${new Date().toISOString().slice(0, 10)}, ${cpu?.model.trim() ?? arch()}, ${availableParallelism()} cores, ${type()} ${release()}, ` +
    `Node ${process.versions.node}, SQLite ${process.versions.sqlite}, OpenSSL ${process.versions.openssl}; ` +
    `writing and syncing 4 kB takes ${syncMicros(folder).toFixed(0)} µs`
  );
}

/** The least time that one durable write to the folder's disk takes: the median, microseconds. */
function syncMicros(folder: string): number {
  const path = join(folder, 'sync-test');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 101 }, () => {
    const start = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  rmSync(path);
  return (times.sort((a, b) => a - b)[50] ?? Number.NaN) * 1000;
}
