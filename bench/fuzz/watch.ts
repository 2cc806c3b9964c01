import { setInterval } from 'node:timers/promises';
import { cpuSeconds } from '../server/process-usage.ts';

/** The server's work up to a moment. */
interface Seen {
  time: number;
  cpuSeconds: number;
  answers: number;
}

const STEP_MILLISECONDS = 100;
const KEPT = 600;
/** A request among these many connections waits for each of them once or twice. */
const MOST_PASSED_BY = 2000;

/**
 * Tells a slow answer of the server's from one of a machine that has other work: in the time of the first the server computed, or
 * answered many others that came later.
 */
export class Watch {
  readonly #pid: number;
  readonly #seen: Seen[] = [];
  #answers = 0;

  constructor(pid: number) {
    this.#pid = pid;
    void this.#look();
  }

  countAnswer(): void {
    this.#answers += 1;
  }

  /** @returns the server's part in an answer that took so long until now, or `undefined` when it was the machine's */
  reasonFor(milliseconds: number): string | undefined {
    const now = performance.now();
    const before = this.#seen.findLast(({ time }) => time <= now - milliseconds) ?? this.#seen[0];
    if (!before) return undefined;
    const cpu = cpuSeconds(this.#pid) - before.cpuSeconds;
    const answers = this.#answers - before.answers;
    const told = `${milliseconds.toFixed(0)} ms, in which the server used ${cpu.toFixed(1)} s of processor time and gave ${answers} answers`;
    return cpu > milliseconds / 2000 || answers > MOST_PASSED_BY ? told : undefined;
  }

  async #look(): Promise<void> {
    for await (const _ of setInterval(STEP_MILLISECONDS, undefined, { ref: false })) {
      this.#seen.push({ time: performance.now(), cpuSeconds: cpuSeconds(this.#pid), answers: this.#answers });
      if (this.#seen.length > KEPT) this.#seen.shift();
    }
  }
}
