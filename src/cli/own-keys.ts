import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { configFolder } from '../client/credentials.ts';
import { Misconfigured } from '../protocol/errors.ts';
import type { KeyFolder, OwnKeys } from '../sealed/own-keys.ts';

/** The folder of the user's keys, where there is one: sealing is loaded by those who use it. */
export async function existingKeyFolder(env: NodeJS.ProcessEnv = process.env): Promise<KeyFolder | undefined> {
  return existsSync(join(configFolder(env), 'sealed')) ? await userKeyFolder(env) : undefined;
}

/** Where the user's keys are, or would be. */
export async function userKeyFolder(env: NodeJS.ProcessEnv = process.env): Promise<KeyFolder> {
  const { keyFolder } = await import('../sealed/own-keys.ts');
  return keyFolder(configFolder(env));
}

/** The way in which this program asks for the passphrase of a key: at the terminal of a command, or as Python's functions set it. */
export const passphrases: {
  ask(): Promise<string>;
  /** Of a process that carries out many commands: a key is unlocked once. */
  unlocked: Map<string, string> | undefined;
} = { ask: askAtTerminal, unlocked: undefined };

/** The user's keys on this device; undefined without any. Their passphrase, where there is one, is asked for. */
export async function ownKeys(): Promise<OwnKeys | undefined> {
  const folder = await existingKeyFolder();
  if (!folder) return undefined;
  const { openOwnKeys } = await import('../sealed/own-keys.ts');
  return await openOwnKeys(folder, passphrases.ask, passphrases.unlocked);
}

async function askAtTerminal(): Promise<string> {
  if (!process.stdin.isTTY) throw noTerminal();
  const { password } = await import('@inquirer/prompts');
  return await password({ message: PASSPHRASE_PROMPT }, { output: process.stderr });
}

export const PASSPHRASE_PROMPT = 'Passphrase of your key (not shown):';

/** Where nobody can be asked. */
export function noTerminal(): Misconfigured {
  return new Misconfigured(
    'your key is under a passphrase, which is asked for at a terminal alone: run this there. A robot has a key of its own, without one ' +
      '("pbook keys init --yes" with a PANDA_CONFIG_ROOT of its own)',
  );
}
