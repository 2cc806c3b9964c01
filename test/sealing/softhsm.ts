import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

/** The reason why there is no HSM in software here. */
export const noSoftHsm: string | false = !existsSync(MODULE)
  ? 'SoftHSM is not installed (apt-get install softhsm2)'
  : !process.allowedNodeEnvironmentFlags.has('--experimental-ffi') && 'this Node has no node:ffi';

/** A token of its own for one test file, for the whole process: SoftHSM finds it by a variable. */
export interface SoftHsm {
  uri(object: string, options?: string): string;
  pinFile: string;
}

export function makeToken(t: Pick<TestContext, 'after'>, label = 'panda'): SoftHsm {
  const folder = mkdtempSync(join(tmpdir(), 'softhsm-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'tokens'));
  const configuration = join(folder, 'softhsm2.conf');
  writeFileSync(
    configuration,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  process.env['SOFTHSM2_CONF'] = configuration;
  const made = spawnSync('softhsm2-util', [
    '--init-token',
    '--free',
    '--label',
    label,
    '--pin',
    '123456',
    '--so-pin',
    '654321',
  ]);
  if (made.status !== 0) throw new Error(`no token was made: ${made.stderr}`);
  const pinFile = join(folder, 'pin');
  writeFileSync(pinFile, '123456\n', { mode: 0o600 });
  return {
    uri: (object, options = '') =>
      `pkcs11:token=${label};object=${object}?module-path=${MODULE}&pin-source=${pinFile}${options}`,
    pinFile,
  };
}
