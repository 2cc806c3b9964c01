import { InvalidArgument } from './errors.ts';

/**
 * Splits text into words as a POSIX shell does (quoting only: nothing is expanded), because PanDA's pilot hands a job's
 * parameters to a shell.
 *
 * @throws {InvalidArgument} when a quote is not closed
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const sign = text.charAt(at);
    if (/[ \t\n]/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at++;
      continue;
    }
    const piece = readPiece(text, at);
    word = (word ?? '') + piece.value;
    at = piece.end;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** One word for a POSIX shell: as it is when no shell would take it apart, else in single quotes. */
export function shellWord(word: string): string {
  return /^[\w./+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One run of characters under the same quoting, from `start`. */
function readPiece(text: string, start: number): { value: string; end: number } {
  switch (text.charAt(start)) {
    case "'": {
      const end = text.indexOf("'", start + 1);
      if (end < 0) throw new InvalidArgument("jobParameters: a ' is not closed");
      return { value: text.slice(start + 1, end), end: end + 1 };
    }
    case '"': {
      const body = /(?:[^"\\]|\\.)*/suy;
      body.lastIndex = start + 1;
      const raw = body.exec(text)?.[0] ?? '';
      const end = start + 1 + raw.length;
      if (text.charAt(end) !== '"') throw new InvalidArgument('jobParameters: a " is not closed');
      return { value: raw.replace(/\\([$`"\\\n])/g, (_, sign) => (sign === '\n' ? '' : sign)), end: end + 1 };
    }
    case '\\': {
      const sign = text.charAt(start + 1);
      return { value: sign === '\n' ? '' : sign, end: start + 2 };
    }
    default: {
      const plain = /[^ \t\n'"\\]+/y;
      plain.lastIndex = start;
      const value = plain.exec(text)?.[0] ?? '';
      return { value, end: start + value.length };
    }
  }
}
