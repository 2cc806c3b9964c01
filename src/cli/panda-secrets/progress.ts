import { isLiveTerminal } from '../reporting.ts';

/** To the start of the line, which is cleared. */
const ANEW = '\r\x1b[K';

/** A count on the terminal, where there is one. The words may be others from one count to the next. */
export function showProgress(what: string) {
  const began = performance.now();
  const isLive = isLiveTerminal(process.stderr);
  return {
    show(count: number, now = what): void {
      if (isLive) process.stderr.write(`${ANEW}${count} ${now}`);
    },
    end(count: number): { seconds: number; rate: number } {
      if (isLive && count > 0) process.stderr.write('\n');
      const seconds = (performance.now() - began) / 1000;
      return { seconds, rate: Math.round(count / seconds) };
    },
  };
}
