import { isLiveTerminal } from '../reporting.ts';

/** A count on the terminal, where there is one. */
export function showProgress(what: string) {
  const began = performance.now();
  const isLive = isLiveTerminal(process.stderr);
  return {
    show(count: number): void {
      if (isLive) process.stderr.write(`\r${count} ${what}`);
    },
    end(count: number): { seconds: number; rate: number } {
      if (isLive && count > 0) process.stderr.write('\n');
      const seconds = (performance.now() - began) / 1000;
      return { seconds, rate: Math.round(count / seconds) };
    },
  };
}
