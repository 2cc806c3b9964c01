import { text } from 'node:stream/consumers';
import { configFolder } from '../../../client/credentials.ts';
import { unprovenClaims } from '../../../client/unproven-claims.ts';
import { VERSION } from '../../../protocol/version.ts';
import { withConnection } from '../../command.ts';
import { note, reportFailure } from '../../reporting.ts';

/**
 * pbook without a command: Python with the commands as functions. Runs `code` where it is given, the prompt at a terminal,
 * and standard input as a script otherwise.
 *
 * @returns the exit status
 */
export async function runShell(code: string | undefined): Promise<number> {
  const { stdin, stdout, env } = process;
  if (code !== undefined || !stdin.isTTY) {
    const { runScript } = await import('./batch.ts');
    return code === undefined ? await runScript(await text(stdin), '<stdin>') : await runScript(code, '<string>');
  }
  const [{ runPrompt }, { openHistory }] = await Promise.all([import('./prompt.ts'), import('./history.ts')]);
  await greet();
  const output = stdout.isTTY ? stdout : process.stderr;
  return await runPrompt(stdin, output, openHistory(configFolder(env)), { keepsAll: env['PBOOK_HISTORY'] === 'all' });
}

/** Says who is known as whom, or why nobody is: the prompt opens all the same. Nothing is asked of the server. */
async function greet(): Promise<void> {
  try {
    const {
      name,
      preferred_username: nickname,
      sub,
    } = await withConnection(async ({ token }) => unprovenClaims(await token()));
    note(`PBook user: ${name ?? nickname ?? sub}`);
  } catch (error) {
    reportFailure(error, 'pbook');
  }
  note(`pbook ${VERSION} in Python: help() lists the commands, exit() or Ctrl-D leaves`);
}
