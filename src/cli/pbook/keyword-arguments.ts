import { UsageError } from '../reporting.ts';

/**
 * `full=True` among the arguments of a command, as PanDA's pbook takes them: the words that are none, and the named ones.
 *
 * @param known the names that the command has
 * @throws {UsageError} for another name
 */
export function keywordArguments<N extends string>(
  words: readonly string[],
  known: readonly N[],
): { plain: string[]; named: Partial<Record<N, string>> } {
  const plain: string[] = [];
  const named: Partial<Record<N, string>> = {};
  for (const word of words) {
    const [, name, value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(word) ?? [];
    if (name === undefined) plain.push(word);
    else if (isKnown(name, known)) named[name] = withoutQuotes(value);
    else throw new UsageError(`there is no argument "${name}" here; known are ${known.join(', ')}`);
  }
  return { plain, named };
}

/** A truth value as a Python user writes it. @throws {UsageError} */
export function truthValue(name: string, text: string | undefined): boolean {
  if (text === undefined || /^(false|0)$/i.test(text)) return false;
  if (/^(true|1)$/i.test(text)) return true;
  throw new UsageError(`${name} must be True or False`);
}

function isKnown<N extends string>(name: string, known: readonly N[]): name is N {
  return (known as readonly string[]).includes(name);
}

/** `format='long'` arrives with its quotes where a shell did not take them off. */
function withoutQuotes(value: string): string {
  return /^(['"]).*\1$/s.test(value) ? value.slice(1, -1) : value;
}
