import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, type } from 'node:os';
import { join } from 'node:path';
import { peakMemoryBytes } from './process-usage.ts';
import { type Result, ratio } from './rounds.ts';

/** A comparison: the first of the results is this server's. */
export interface Subject {
  title: string;
  results: Result[];
  /** Which of the others it must reach, and how much of its rate. */
  goal?: { against: string; percent: number };
}

/** The tables in Markdown, as they stand in docs/performance.md. */
export function markdownOf(subject: Subject): string {
  const { title, results, goal } = subject;
  const [own] = results;
  if (!own) return '';
  const rows = results.map((result) =>
    cells([
      result.contestant.name,
      result.perSecond.toFixed(0),
      result.p50.toFixed(2),
      result.p99.toFixed(2),
      result.cpuMicros.toFixed(0),
      (peakMemoryBytes(result.contestant.pid) / 2 ** 20).toFixed(0),
      result === own ? '' : percent(ratio(own, result, 'perSecond')),
      result === own ? '' : percent(ratio(own, result, 'cpuMicros')),
    ]),
  );
  const against = results.find(({ contestant }) => contestant.name === goal?.against);
  const reached = against && goal && ratio(own, against, 'perSecond') * 100 >= goal.percent;
  const verdict = goal ? [`Goal: ${goal.percent} % of ${goal.against}: ${reached ? 'reached' : 'not reached'}.`] : [];
  return [
    `### ${title}`,
    '',
    cells(['', 'per second', 'p50 ms', 'p99 ms', 'CPU µs each', 'peak MB', 'server ÷ this', 'in CPU']),
    '|---|--:|--:|--:|--:|--:|--:|--:|',
    ...rows,
    '',
    ...verdict,
    '',
  ].join('\n');
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
