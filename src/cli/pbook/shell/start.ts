import { accessSync, constants, statSync, writeSync } from 'node:fs';
import module from 'node:module';
import { delimiter, join, resolve } from 'node:path';
import { isSea } from 'node:sea';
import { configFolder, tokenSource } from '../../../client/credentials.ts';
import { VERSION } from '../../../protocol/version.ts';
import { EXIT_REFUSED, printable } from '../../reporting.ts';
import type { PythonInvocation } from './invocation.ts';
import { nameIn } from './name-in.ts';
import { pythonFolder } from './python-folder.ts';

/** `python/pbook/_shell.py` finds the code of `-c` here: other users can read the arguments of a process, its environment not. */
const CODE_VARIABLE = '_PBOOK_CODE';
/** The name that the prompt greets. */
const USER_VARIABLE = '_PBOOK_USER';

/**
 * Becomes the user's Python, with pbook's functions: this process goes on as that program, so that the terminal, its signals
 * and the exit status are Python's own (docs/decisions/0026-the-users-python.md). A prompt has to be there at once, so nothing is
 * loaded here that could be left out, such as what writes to a terminal.
 *
 * @returns the exit status where that is not possible
 */
export async function startPython(invocation: PythonInvocation): Promise<number> {
  const { env } = process;
  const python = findPython(invocation.python, env);
  if (typeof python !== 'string') return refuse(python.problem);
  if (!process.execve) {
    return refuse('a process cannot become Python on this system: use "pbook python-path" and "import pbook" there');
  }
  const folder = await folderOrProblem(env);
  if (typeof folder !== 'string') return refuse(folder.problem);
  const program = isSea() ? '' : (process.argv[1] ?? '');
  const words = [process.execPath, program, VERSION, configFolder(env), invocation.run, ...invocation.arguments];
  const user = invocation.run === 'prompt-or-input' ? await userName() : undefined;
  module.flushCompileCache?.();
  return process.execve(python, [python, join(folder, 'pbook', '_start.py'), ...words], {
    ...env,
    ...(invocation.code !== undefined && { [CODE_VARIABLE]: invocation.code }),
    ...(user !== undefined && { [USER_VARIABLE]: user }),
  });
}

function refuse(problem: string): number {
  writeSync(2, `ERROR : ${printable(problem)}\n`);
  return EXIT_REFUSED;
}

async function folderOrProblem(env: NodeJS.ProcessEnv): Promise<string | { problem: string }> {
  try {
    return await pythonFolder(env);
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

/** The one that was named, that of an active venv, or the first on the PATH. */
function findPython(named: string | undefined, env: NodeJS.ProcessEnv): string | { problem: string } {
  if (named !== undefined) {
    const found = named.includes('/') ? (isProgram(named) ? resolve(named) : undefined) : onPath(named, env);
    return found ?? { problem: `--python ${named}: there is no such program` };
  }
  const ofVenv = env['VIRTUAL_ENV'] ? join(env['VIRTUAL_ENV'], 'bin', 'python3') : '';
  const found = isProgram(ofVenv) ? ofVenv : onPath('python3', env);
  return (
    found ?? {
      problem:
        'pbook without a command is Python, and there is no python3 on the PATH: install it, or name one with --python PATH. ' +
        'Commands need none: pbook set_secret, pbook list_secrets; "pbook help" lists them',
    }
  );
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

/** Who is known as whom while a token is good; undefined where the prompt has to ask first (`greet.ts`). */
async function userName(): Promise<string | undefined> {
  try {
    return nameIn(await tokenSource(process.env, Date.now)());
  } catch {
    return undefined;
  }
}
