import { appendFileSync, chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The lines that were typed at the prompt, in this session and in earlier ones. Of earlier sessions it has no line that set a
 * secret, and none that gave a value to a name which such a line used.
 */
export interface History {
  /** Newest first, as the line editor wants them. */
  readonly lines: readonly string[];
  /** Remembers a line for this session. */
  add(line: string): void;
  /** Keeps the lines of a statement for later sessions: one that assigns a name at the end of this session, another at once. */
  keep(statement: readonly string[]): void;
  /** Forgets the statement that set a secret, and the earlier ones that assigned what it used, directly or through others. */
  leaveOut(statement: readonly string[]): void;
  /** Writes what was held back until now and no secret used. */
  close(): void;
}

const MAX_LINES = 1000;

/** Opens `.pbook_history` in the folder of PanDA's clients, readable for its owner alone. Without it there is no harm. */
export function openHistory(folder: string): History {
  const file = join(folder, '.pbook_history');
  const lines = read(file);
  let held: readonly string[][] = [];

  const write = (statements: readonly (readonly string[])[]) => {
    const text = statements.flat().filter((line) => line.trim() !== '');
    if (text.length === 0) return;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      appendFileSync(file, text.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    } catch {
      // A folder that cannot be written: the session goes on.
    }
  };

  return {
    lines,
    add(line) {
      if (line.trim() !== '' && line !== lines[0]) lines.unshift(line);
    },
    keep(statement) {
      if (assignedNames(statement).size > 0) held = [...held, [...statement]];
      else write([statement]);
    },
    leaveOut(statement) {
      const used = namesIn(statement.join('\n'));
      // Backwards: what a statement that is left out used was assigned before it, or in a function that it calls.
      for (let before = -1; before !== held.length; ) {
        before = held.length;
        held = held.toReversed().filter((each) => {
          if (![...assignedNames(each)].some((name) => used.has(name))) return true;
          for (const name of namesIn(each.join('\n'))) used.add(name);
          return false;
        });
        held = held.toReversed();
      }
    },
    close() {
      write(held);
      held = [];
    },
  };
}

const NAME = /[\p{ID_Start}_][\p{ID_Continue}]*/gu;
/** Words of Python that stand in assignments and name nothing. */
const NO_NAMES = new Set(['async', 'await', 'for', 'if', 'else', 'in', 'is', 'lambda', 'not', 'and', 'or', 'with']);
/** `def f`, `class C`, `for x in`, `with ... as x`, and a method that may change what it is called on: `x.append(...)`. */
const BOUND_OTHERWISE =
  /\b(?:def|class|for|as)\s+([\p{ID_Start}_][\p{ID_Continue}]*)|([\p{ID_Start}_][\p{ID_Continue}]*)(?:\[[^\]]*\])?\.\w+\(/gu;
/** `=`, `+=`, `:=`, and no comparison. */
const ASSIGNS = /(?:\*\*|\/\/|>>|<<|[-+*/|&^%@:])?(?<![=!<>])=(?!=)/u;

function namesIn(text: string): Set<string> {
  return new Set((text.match(NAME) ?? []).filter((name) => !NO_NAMES.has(name)));
}

/** Names that a statement may give a value to: rather one too many, since all that costs is a line of history. */
function assignedNames(statement: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (const line of statement) {
    for (const target of line.split(ASSIGNS).slice(0, -1)) for (const name of namesIn(target)) names.add(name);
    for (const [, bound, changed] of line.matchAll(BOUND_OTHERWISE)) names.add(bound ?? changed ?? '');
  }
  return names;
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
