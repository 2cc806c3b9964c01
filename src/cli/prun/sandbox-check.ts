import { note, warn } from '../reporting.ts';
import { findLeaks } from './leaked-secrets.ts';
import { type OwnSecrets, shownNames } from './own-secrets.ts';

const SHOWN_LEAKS = 10;

/**
 * Warns of files that hold values of the user's secrets: a sandbox is stored on the server in clear, and goes to every job. At a
 * terminal the user is asked whether to go on.
 *
 * @returns true to go on
 */
export async function checkSandbox(
  secrets: OwnSecrets,
  directory: string,
  paths: readonly string[],
  { ask }: { ask: boolean },
): Promise<boolean> {
  const { leaks, cut } = await findLeaks(secrets, directory, paths);
  for (const { path, line, names } of leaks.slice(0, SHOWN_LEAKS)) {
    const where = line === 'name' ? 'in its name' : line === 'packed' ? 'in a file packed in it' : `line ${line}`;
    warn(`${path} holds the value of your secret ${shownNames(secrets, names)} (${where})`);
  }
  if (leaks.length > SHOWN_LEAKS) warn(`${leaks.length - SHOWN_LEAKS} more files hold values of your secrets`);
  if (cut.length > 0)
    warn(`too large to be searched for your secrets to the end: ${cut.slice(0, SHOWN_LEAKS).join(', ')}`);
  if (leaks.length === 0) return true;
  note('With --useSecrets jobs get your secrets without that; leave files out with --excludeFile or a .prunignore');
  if (!ask) return true;
  const { confirm } = await import('@inquirer/prompts');
  const message = 'Submit all the same?';
  return await confirm({ message, default: false }, { output: process.stderr });
}
