import type { AskPassphrase } from '../../sealing/root-keys.ts';

/** Asks at the terminal for the passphrase of root keys; undefined where there is nobody to ask. */
export function askPassphrase(): AskPassphrase | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (what) => {
    const { password } = await import('@inquirer/prompts');
    return password({ message: `Passphrase of ${what}`, mask: '*' }, { output: process.stderr });
  };
}
