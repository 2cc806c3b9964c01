import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAsset, isSea } from 'node:sea';
import { withConnection } from '../command.ts';
import { EXIT_REFUSED, printable } from '../reporting.ts';

const PROGRAMS = ['pbook', 'prun', 'panda-secrets', 'panda-pilot'];

const FILES = {
  bash: (program: string) => `${program}.bash`,
  zsh: (program: string) => `_${program}`,
  fish: (program: string) => `${program}.fish`,
};
/** The longest that a Tab may take. */
const PATIENCE_MS = 2000;

/** `completion SHELL`: the scripts of all programs, which `npm run manual` made, for the shell to read. */
export function printCompletion(shell: keyof typeof FILES): void {
  for (const program of PROGRAMS) process.stdout.write(script(FILES[shell](program)));
}

/** `secret_names`: for a Tab, so it asks nobody to log in, and says nothing of what goes wrong. */
export async function printSecretNames(): Promise<void> {
  try {
    for (const name of await secretNames()) process.stdout.write(`${printable(name)}\n`);
  } catch {
    process.exitCode = EXIT_REFUSED;
  }
}

/** The names of the user's secrets. @throws as the client does, and when it takes too long */
export async function secretNames(): Promise<string[]> {
  const secrets = await withConnection(({ client }) => client.listSecrets(), AbortSignal.timeout(PATIENCE_MS));
  return secrets.map(({ name }) => name);
}

/** In the source tree, in the package, where this stands in `dist/lib/`, and in the executable that has everything inside. */
function script(name: string): string {
  if (isSea()) return getAsset(`completions/${name}`, 'utf8');
  const up = import.meta.filename.endsWith('.ts') ? '../../..' : '../..';
  return readFileSync(join(import.meta.dirname, up, 'completions', name), 'utf8');
}
