import { appendFileSync, chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The lines that were typed at the prompt, in this session and, without those that set a secret, in earlier ones. */
export interface History {
  /** Newest first, as the line editor wants them. */
  readonly lines: readonly string[];
  /** Remembers a line for this session. */
  add(line: string): void;
  /** Keeps the lines of a statement for later sessions. */
  keep(statement: readonly string[]): void;
}

const MAX_LINES = 1000;

/** Opens `.pbook_history` in the folder of PanDA's clients, readable for its owner alone. Without it there is no harm. */
export function openHistory(folder: string): History {
  const file = join(folder, '.pbook_history');
  const lines = read(file);

  return {
    lines,
    add(line) {
      if (line.trim() !== '' && line !== lines[0]) lines.unshift(line);
    },
    keep(statement) {
      const text = statement.filter((line) => line.trim() !== '').map((line) => `${line}\n`);
      if (text.length === 0) return;
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        appendFileSync(file, text.join(''), { mode: 0o600 });
      } catch {
        // A folder that cannot be written: the session goes on.
      }
    },
  };
}

function read(file: string): string[] {
  try {
    chmodSync(file, 0o600);
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-MAX_LINES)
      .reverse();
  } catch {
    return [];
  }
}
