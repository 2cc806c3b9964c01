/** The work for Python. `prompt-or-input`: a prompt where somebody sits at a terminal; otherwise, and for `input`, standard input is a script. */
export interface PythonInvocation {
  run: 'prompt-or-input' | 'input' | 'code' | 'file';
  /** Of `code`. */
  code?: string;
  /** Behind the script's name; for a `file` its path first. */
  arguments: string[];
  /** `--python PATH` */
  python?: string;
}

/**
 * The command lines of pbook that are no command: `pbook`, `pbook -c CODE`, `pbook SCRIPT.py`, `pbook -`, each with `--python PATH`
 * in front if need be. A script is known by its `.py` or by a `/`, which no command has.
 *
 * @returns undefined for a command
 */
export function pythonInvocation(args: readonly string[]): PythonInvocation | undefined {
  const [first = '', ...others] = args;
  if (first.startsWith('--python=')) return withPython(first.slice('--python='.length), others);
  if (first === '--python' && others[0] !== undefined) return withPython(others[0], others.slice(1));
  if (args.length === 0) return { run: 'prompt-or-input', arguments: [] };
  if (first === '-c' && others[0] !== undefined) return { run: 'code', code: others[0], arguments: others.slice(1) };
  if (first === '-') return { run: 'input', arguments: [...args] };
  if (first.endsWith('.py') || first.includes('/')) return { run: 'file', arguments: [...args] };
  return undefined;
}

function withPython(python: string, args: readonly string[]): PythonInvocation | undefined {
  const found = pythonInvocation(args);
  return found && { ...found, python };
}
