import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Contestant } from './rounds.ts';

/** Requests to a server, each sent over whichever connection is free. */
export interface Load {
  /** The number of requests that make one unit of what is counted: 1, 2 for a job that is submitted and then acquired, a fiftieth where each gets 50 jobs. */
  requestsPerUnit: number;
  /**
   * The bytes of the requests, ASCII, in the order in which they are sent. A list is sent over and over, each round from
   * where the last one ended; a function makes requests that a server takes only
   * once, so many before each round.
   */
  requests: readonly string[] | ((count: number) => Promise<string[]>);
  /** Texts, of which every good answer has one. */
  answers: readonly string[];
  /** Bytes that every good answer has at least; any number unless given. */
  leastBytes?: number;
}

/** A server's work meanwhile. */
export interface Driven {
  units: number;
  seconds: number;
  /** The times within which half of the requests, and 99 % of them, were answered, milliseconds. */
  p50: number;
  p99: number;
}

const SCRIPT = join(import.meta.dirname, 'wrk.lua');
/** An answer that takes longer is an error. */
const TIMEOUT_SECONDS = 10;
/** Requests that are sent once: those of so many units are made for the first round; for a later one `SPARE` times those that the last took, but no fewer than the least. */
const FIRST_UNITS_PER_SECOND = 5000;
const SPARE = 3;
const LEAST_UNITS_PER_SECOND = 2000;

/** @returns the version of `wrk`. @throws {Error} where it is not installed */
export function wrkVersion(): string {
  const { stdout, error } = spawnSync('wrk', ['-v'], { encoding: 'utf8' });
  if (error)
    throw new Error('wrk, which sends the requests, is not installed: apt-get install wrk, or github.com/wg/wrk');
  return /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'of unknown version';
}

/**
 * A server that `wrk` drives, with one thread, over keep-alive connections with one request under way on each.
 * A round throws where an answer was not good.
 */
export function driven(
  name: string,
  { pid, port }: { pid: number; port: number },
  { requestsPerUnit, requests, answers, leastBytes = 0 }: Load,
  connections: number,
): Contestant {
  const once = typeof requests === 'function';
  let perSecond = FIRST_UNITS_PER_SECOND * requestsPerUnit;
  let prepared = once ? [] : requests;
  let sent = 0;
  return {
    name,
    pid,
    async prepare(seconds) {
      if (once) prepared = await requests(Math.max(2 * connections, Math.ceil(perSecond * seconds)));
    },
    async run(seconds) {
      const from = once ? 0 : sent % prepared.length;
      const inTurn = [...prepared.slice(from), ...prepared.slice(0, from)];
      const report = await runWrk({ port, connections, seconds, once, answers, leastBytes }, inTurn);
      const { wrong, sample, broken, ranOut, units, ...measured } = report;
      if (ranOut) throw new Error(`${name}: ${prepared.length} requests did not last for a round`);
      if (wrong > 0) throw new Error(`${name}: ${wrong} answers were wrong, the first: ${Buffer.from(sample, 'hex')}`);
      if (broken > 0) throw new Error(`${name}: ${broken} requests had no answer`);
      sent += units;
      perSecond = Math.max((units / measured.seconds) * SPARE, LEAST_UNITS_PER_SECOND * requestsPerUnit);
      return { ...measured, units: units / requestsPerUnit };
    },
  };
}

/** The last line of the script's output. */
interface Report extends Driven {
  /** Answers that were not good; the beginning of the first one in hex. */
  wrong: number;
  sample: string;
  /** Requests that had no answer. */
  broken: number;
  /** True when the requests, each sent once, did not last. */
  ranOut: boolean;
}

interface Round extends Required<Pick<Load, 'answers' | 'leastBytes'>> {
  port: number;
  connections: number;
  seconds: number;
  once: boolean;
}

async function runWrk(
  { port, connections, seconds, once, answers, leastBytes }: Round,
  requests: readonly string[],
): Promise<Report> {
  const wrk = spawn(
    'wrk',
    [
      ...['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`],
      ...['--timeout', `${TIMEOUT_SECONDS}s`, '--script', SCRIPT, `http://127.0.0.1:${port}`],
      ...['--', once ? 'once' : 'repeated', `${leastBytes}`, `${answers.length}`],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  wrk.stdin.end([...answers, ...requests].map((bytes) => `${bytes.length}\n${bytes}`).join(''), 'latin1');
  const last = (await text(wrk.stdout)).trim().split('\n').at(-1);
  if (!last?.startsWith('{')) throw new Error('wrk ended early');
  return JSON.parse(last) as Report;
}
