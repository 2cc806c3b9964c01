import { PandaError } from '../protocol/errors.ts';
import type { AskPassphrase } from '../sealing/root-keys.ts';
import { checkDatabase } from './doctor-database.ts';
import { checkDisk, checkFiles } from './doctor-files.ts';
import { checkAddress, checkTls } from './doctor-network.ts';
import type { CheckName, Finding } from './finding.ts';
import { type Installation, openInstallation } from './installation.ts';
import type { Settings } from './settings.ts';

export interface DoctorOptions {
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
  ask?: AskPassphrase | undefined;
}

/**
 * Looks at an installation, from its machine, also while its server runs. It changes nothing but what opening the database does. Each
 * check is by itself: one that cannot be made is `wrong` and says why.
 */
export async function examine(settings: Settings, { clock, ask }: DoctorOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  const look = async (check: CheckName, work: () => Promise<Finding[]>) => {
    findings.push(...(await work().catch((error) => [notChecked(check, error)])));
  };
  await look('files', () => checkFiles(settings, clock));
  await look('disk', () => checkDisk(settings));
  let installation: Installation | undefined;
  await look('installation', async () => {
    installation = await openInstallation(settings, { create: false, clock, ask });
    return [{ check: 'installation', state: 'fine', what: `the installation ${installation.key.id} opens` }];
  });
  if (installation) {
    try {
      await checkDatabase(installation, clock, look);
    } finally {
      await installation.close();
    }
  }
  await look('tls', () => checkTls(settings, clock));
  await look('public url', () => checkAddress(settings));
  return findings;
}

function notChecked(check: CheckName, error: unknown): Finding {
  if (!(error instanceof PandaError)) throw error;
  return {
    check,
    state: 'wrong',
    what: error.message,
    todo: REMEDIES[error.code] ?? 'do what it says, and run this again',
  };
}

const REMEDIES: Readonly<Record<string, string>> = {
  ERR_UNAVAILABLE: 'bring back what is away: the database, the storage for files, the key server or the token',
  ERR_MISSING_ROOT_KEY: 'put the root key back from its safe copy, or name its place in root_keys',
  ERR_DECRYPTION_FAILED: 'restore the row from a backup, and find out who writes the database',
  ERR_TAMPERED: 'restore the row from a backup, and find out who writes the database',
};
