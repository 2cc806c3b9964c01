import { UsageError } from '../reporting.ts';

/** The options of a command whose other arguments are taken literally. */
export interface LiteralCommand {
  flags: readonly string[];
  /** Options that take the next argument. */
  valued: readonly string[];
}

/** Looks like an option that somebody meant: `--word`. `-5`, `-----BEGIN...` and `-- text` do not. */
const OPTION = /^--[A-Za-z][\w-]*(?==|$)/;

/**
 * The arguments of a command that stores what it is given, rearranged: each that is not one of its options stands behind `--`
 * and is taken as it is: `a=b`, `-5`, `-----BEGIN PRIVATE KEY-----`.
 *
 * @param args the words after the command's name
 * @throws {UsageError} for an unknown `--word`, which may be a mistyped option: it has to stand behind `--` to be a value
 */
export function literalArguments(args: readonly string[], { flags, valued }: LiteralCommand): string[] {
  if (args.length === 1 && args[0] === '-h') return ['--help'];
  const options: string[] = [];
  const literals: string[] = [];
  for (let place = 0; place < args.length; place++) {
    const word = args[place] ?? '';
    if (word === '--') {
      literals.push(...args.slice(place + 1));
      break;
    }
    const option = OPTION.exec(word)?.[0];
    if (option === undefined) literals.push(word);
    else if (flags.includes(option)) options.push(word);
    else if (!valued.includes(option)) throw unknownOption(option);
    else {
      options.push(word);
      if (word !== option) continue;
      place += 1;
      if (place >= args.length) throw new UsageError(`${option} needs a value after it`);
      options.push(args[place] ?? '');
    }
  }
  return [...options, '--', ...literals];
}

function unknownOption(option: string): UsageError {
  return new UsageError(
    `unknown option "${option}"; if it is meant as it stands, put -- in front: pbook set_secret KEY -- ${option}...`,
  );
}
