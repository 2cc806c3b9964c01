/** The terminal's bytes, cut into keys and pastes as a line editor knows them. */
export type Input =
  /** Keys, to be edited with. */
  | { keys: string }
  /** A text from the clipboard. */
  | { paste: string }
  /** Ctrl-C, Ctrl-Z and Ctrl-\: what the terminal driver makes signals of unless the program wants every key. */
  | { signal: 'SIGINT' | 'SIGTSTP' | 'SIGQUIT' };

const PASTE_START = '\u001b[200~';
const PASTE_END = '\u001b[201~';
const SIGNALS: Record<string, 'SIGINT' | 'SIGTSTP' | 'SIGQUIT'> = {
  '\u0003': 'SIGINT',
  '\u001a': 'SIGTSTP',
  '\u001c': 'SIGQUIT',
};

/**
 * A function that takes what the terminal sends, chunk by chunk, and answers what is known by then. A paste is what stands
 * between the marks of bracketed paste; from a terminal without them, several lines that arrive at once.
 */
export function createInputParser(): (chunk: string) => Input[] {
  let rest = '';

  return (chunk) => {
    let text = rest + chunk;
    const inputs: Input[] = [];
    for (;;) {
      const start = text.indexOf(PASTE_START);
      if (start < 0) break;
      inputs.push(...keysAndSignals(text.slice(0, start)));
      const end = text.indexOf(PASTE_END, start);
      if (end < 0) {
        rest = text.slice(start);
        return inputs;
      }
      inputs.push({ paste: text.slice(start + PASTE_START.length, end) });
      text = text.slice(end + PASTE_END.length);
    }
    const begun = beginOfMark(text);
    rest = text.slice(text.length - begun);
    inputs.push(...keysAndSignals(text.slice(0, text.length - begun)));
    return inputs;
  };
}

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are the keys
const SIGNAL_KEYS = /([\u0003\u001a\u001c])/;
const NOT_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: control characters are the keys

function keysAndSignals(text: string): Input[] {
  const isSeveralLines = /[\r\n]+[^\r\n]/.test(text) && !NOT_TEXT.test(text);
  if (isSeveralLines) return [{ paste: text }];
  return text
    .split(SIGNAL_KEYS)
    .filter((part) => part !== '')
    .map((part) => (SIGNALS[part] ? { signal: SIGNALS[part] } : { keys: part }));
}

/** Counts the characters at the end that may be the beginning of a paste's mark. An Escape means nothing by itself. */
function beginOfMark(text: string): number {
  for (let length = PASTE_START.length - 1; length > 0; length--) {
    if (text.endsWith(PASTE_START.slice(0, length))) return length;
  }
  return 0;
}
