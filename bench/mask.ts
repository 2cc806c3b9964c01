/**
 * Measures the log masker: MB/s (10^6 bytes) beside `cat` of the same file in the same run.
 *
 *     npm run bench:mask [-- MEGABYTES [ROUNDS]]
 *
 * The rounds of all rows take turns, so that a busy machine slows them all alike. Nothing here passes or fails.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMasker, type Masker } from '../src/masking/masker.ts';
import { makeLog, makeSecrets } from './mask-input.ts';

const CHUNK_BYTES = 64 * 1024;
const megabytes = Number(process.argv[2] ?? 128);
const rounds = Number(process.argv[3] ?? 9);

const folder = mkdtempSync(join(tmpdir(), 'bench-mask-'));
try {
  await run(join(folder, 'payload.log'));
} finally {
  rmSync(folder, { recursive: true });
}

async function run(file: string): Promise<void> {
  const secrets = makeSecrets(1000);
  writeFileSync(file, makeLog(megabytes * 1e6, secrets.slice(0, 10)));
  const log = readFileSync(file);
  // As long as the log, so that the figures are of as many bytes.
  const inJson = escaped(log, (line) => JSON.stringify(JSON.stringify({ line })));
  const inUrls = escaped(log, encodeURIComponent);
  const few = createMasker(secrets.slice(0, 10));
  const started = performance.now();
  const many = createMasker(secrets);
  const preparedMs = performance.now() - started;

  const rows: Record<string, () => unknown> = {
    'cat to a pipe that is read here': () => cat(file),
    'cat, masked: 10 secrets': () => cat(file, few),
    'cat, masked: 1000 secrets': () => cat(file, many),
    'copy in memory': () => inMemory(log, (chunk) => Buffer.from(chunk)),
    'mask in memory: 10 secrets': () => maskInMemory(log, few),
    'mask in memory: 1000 secrets': () => maskInMemory(log, many),
    'mask in memory: 10 secrets, JSON in JSON strings': () => maskInMemory(inJson, few),
    'mask in memory: 10 secrets, URL-encoded lines': () => maskInMemory(inUrls, few),
  };
  const seconds = new Map(Object.keys(rows).map((row) => [row, [] as number[]]));
  for (let round = -2; round < rounds; round++) {
    for (const [row, work] of Object.entries(rows)) {
      const start = performance.now();
      await work();
      if (round >= 0) seconds.get(row)?.push((performance.now() - start) / 1000);
    }
  }
  console.log(
    `${(log.length / 1e6).toFixed(0)} MB in chunks of ${CHUNK_BYTES} bytes, ${rounds} rounds, Node ${process.versions.node}`,
  );
  console.log(`1000 secrets prepared in ${preparedMs.toFixed(0)} ms`);
  console.log(tableOf(seconds, log.length));
}

/** The log with each line written by `write`: full of backslashes or percent signs. */
function escaped(log: Buffer, write: (line: string) => string): Buffer {
  const lines: Buffer[] = [];
  let size = 0;
  for (let at = 0; size < log.length; ) {
    const end = log.indexOf('\n', at);
    const line = Buffer.from(`${write(log.toString('utf8', at, end))}\n`);
    lines.push(line);
    size += line.length;
    at = end + 1;
  }
  return Buffer.concat(lines).subarray(0, log.length);
}

/** Reads what `cat` prints, through the masker if there is one. */
async function cat(file: string, masker?: Masker): Promise<void> {
  const child = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const stream = masker?.stream();
  child.stdout.on('data', (chunk: Buffer) => stream?.write(chunk));
  await once(child, 'close');
  stream?.end();
}

function inMemory(log: Buffer, work: (chunk: Buffer) => unknown): void {
  for (let at = 0; at < log.length; at += CHUNK_BYTES) work(log.subarray(at, at + CHUNK_BYTES));
}

function maskInMemory(log: Buffer, masker: Masker): void {
  const stream = masker.stream();
  inMemory(log, stream.write);
  stream.end();
}

function tableOf(seconds: Map<string, number[]>, bytes: number): string {
  const medians = new Map([...seconds].map(([row, times]) => [row, bytes / 1e6 / median(times)]));
  const [catRate = 1] = medians.values();
  const lines = ['| | MB/s (median) | slowest | fastest | ÷ cat |', '|---|--:|--:|--:|--:|'];
  for (const [row, times] of seconds) {
    const rate = medians.get(row) ?? 0;
    const [slowest, fastest] = [Math.max(...times), Math.min(...times)].map((time) => (bytes / 1e6 / time).toFixed(0));
    lines.push(`| ${row} | ${rate.toFixed(0)} | ${slowest} | ${fastest} | ${(rate / catRate).toFixed(2)} |`);
  }
  return lines.join('\n');
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}
