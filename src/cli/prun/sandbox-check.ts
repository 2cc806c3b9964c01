import type { Client } from '../../client/client.ts';
import { Refused, Unavailable, UnknownCall } from '../../protocol/errors.ts';
import { splitWireName } from '../../protocol/names.ts';
import { note, warn } from '../reporting.ts';
import { findLeaks, type Leak } from './leaked-secrets.ts';

const SHOWN_LEAKS = 10;

/**
 * Warns of files that hold values of the user's secrets: a sandbox is stored on the server in clear, and goes to every job. At a
 * terminal the user is asked whether to go on.
 *
 * @returns whether to go on
 */
export async function checkSandbox(
  client: Client,
  directory: string,
  paths: readonly string[],
  { ask }: { ask: boolean },
): Promise<boolean> {
  const leaks = await leaksIn(client, directory, paths);
  for (const leak of leaks.slice(0, SHOWN_LEAKS)) warn(describe(leak));
  if (leaks.length > SHOWN_LEAKS) warn(`${leaks.length - SHOWN_LEAKS} more files hold values of your secrets`);
  if (leaks.length === 0) return true;
  note('With --useSecrets jobs get your secrets without that; leave files out with --excludeFile or a .prunignore');
  if (!ask) return true;
  const { confirm } = await import('@inquirer/prompts');
  const message = 'Submit all the same?';
  return await confirm({ message, default: false }, { output: process.stderr });
}

async function leaksIn(client: Client, directory: string, paths: readonly string[]): Promise<Leak[]> {
  try {
    return await findLeaks(await client.getSecrets(), directory, paths);
  } catch (error) {
    if (error instanceof UnknownCall) return []; // A server that keeps no secrets.
    if (!(error instanceof Refused || error instanceof Unavailable)) throw error;
    warn(`the files were not searched for values of your secrets: ${error.message}`);
    return [];
  }
}

function describe({ path, line, names }: Leak): string {
  const shown = names.map((name) => splitWireName(name).name).join(', ');
  return `${path} holds the value of your secret ${shown} (line ${line})`;
}
