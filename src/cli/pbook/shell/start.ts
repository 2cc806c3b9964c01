import { accessSync, constants, statSync } from 'node:fs';
import module from 'node:module';
import { delimiter, join, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { configFolder, tokenSource } from '../../../client/credentials.ts';
import { unprovenClaims } from '../../../client/unproven-claims.ts';
import { VERSION } from '../../../protocol/version.ts';
import { EXIT_REFUSED, fail, note } from '../../reporting.ts';
import type { PythonInvocation } from './invocation.ts';
import { PYTHON_FOLDER } from './python-folder.ts';

/** Where `python/pbook/_shell.py` finds the code of `-c`: other users can read the arguments of a process, its environment not. */
const CODE_VARIABLE = '_PBOOK_CODE';

/**
 * Becomes the user's Python, with pbook's functions: this process goes on as that program, so that the terminal, its signals
 * and the exit status are Python's own (docs/decisions/0026-the-users-python.md).
 *
 * @returns the exit status where that is not possible
 */
export async function startPython(invocation: PythonInvocation): Promise<number> {
  const { env } = process;
  const python = findPython(invocation.python, env);
  if (python === undefined) return EXIT_REFUSED;
  if (!process.execve) {
    fail('a process cannot become Python on this system: use "pbook python-path" and "import pbook" there');
    return EXIT_REFUSED;
  }
  const run = invocation.run === 'prompt-or-input' ? (isatty(0) ? 'prompt' : 'input') : invocation.run;
  if (run === 'prompt') await greet();
  const [program = ''] = process.argv.slice(1);
  const words = [process.execPath, program, VERSION, configFolder(env), run, ...invocation.arguments];
  module.flushCompileCache?.();
  return process.execve(python, [python, join(PYTHON_FOLDER, 'pbook', '_start.py'), ...words], {
    ...env,
    ...(invocation.code !== undefined && { [CODE_VARIABLE]: invocation.code }),
  });
}

/** The one that was named, that of an active venv, or the first on the PATH. Says so where there is none. */
function findPython(named: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (named !== undefined) {
    const found = named.includes('/') ? (isProgram(named) ? resolve(named) : undefined) : onPath(named, env);
    if (found === undefined) fail(`--python ${named}: there is no such program`);
    return found;
  }
  const ofVenv = env['VIRTUAL_ENV'] ? join(env['VIRTUAL_ENV'], 'bin', 'python3') : '';
  const found = isProgram(ofVenv) ? ofVenv : onPath('python3', env);
  if (found === undefined) {
    fail(
      'pbook without a command is Python, and there is no python3 on the PATH: install it, or name one with --python PATH. ' +
        'Commands need none: pbook set_secret, pbook list_secrets; "pbook help" lists them',
    );
  }
  return found;
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => resolve(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Says who is known as whom, or why nobody is: the prompt opens all the same. Nothing is asked of the server while a token is good. */
async function greet(): Promise<void> {
  try {
    tellName(await tokenSource(process.env, Date.now)());
  } catch {
    // It has to be renewed, or the user has to log in.
    try {
      const { withConnection } = await import('../../command.ts');
      tellName(await withConnection(({ token }) => token()));
    } catch (error) {
      (await import('../../reporting.ts')).reportFailure(error, 'pbook');
    }
  }
}

function tellName(token: string): void {
  const { name, preferred_username: nickname, sub } = unprovenClaims(token);
  note(`PBook user: ${name ?? nickname ?? sub}`);
}
