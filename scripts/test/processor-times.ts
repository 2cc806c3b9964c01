import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SHOWN = 10;

/** The processor time of each test file and all that it started, which `test/processor-time.ts` writes into a folder. */
export function collectProcessorTimes(): { folder: string; report(): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'panda-test-times-'));
  return {
    folder,
    report() {
      const times = readdirSync(folder).map((name): [seconds: number, file: string] => {
        const [seconds = '', file = ''] = readFileSync(join(folder, name), 'utf8').split('\t');
        return [Number(seconds), file];
      });
      times.sort(([a], [b]) => b - a);
      const sum = times.reduce((all, [seconds]) => all + seconds, 0);
      const most = times.slice(0, SHOWN).map(([seconds, file]) => `  ${seconds.toFixed(1).padStart(6)} s  ${file}`);
      return [`processor time of ${times.length} files: ${Math.round(sum)} s, most of it:`, ...most].join('\n');
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
