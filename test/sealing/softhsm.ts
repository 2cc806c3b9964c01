import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

export const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

/** The reason why this Node loads no module of a token; false where it does. */
export const noFfi: string | false =
  !process.allowedNodeEnvironmentFlags.has('--experimental-ffi') && 'this Node has no node:ffi (it came with 26)';

/** The reason why there is no HSM in software here. */
export const noSoftHsm: string | false = existsSync(MODULE)
  ? noFfi
  : 'SoftHSM is not installed (apt-get install softhsm2)';

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

/** The reason why no module that misbehaves can be made here. */
export const noCompiler: string | false =
  spawnSync('cc', ['--version'], { stdio: 'ignore' }).status !== 0 &&
  'there is no C compiler (apt-get install gcc libc6-dev)';

/** SoftHSM behind a library of C: `first` runs when it is loaded, and its functions are called in place of those of SoftHSM. @returns its path */
export function moduleThat(t: Pick<TestContext, 'after'>, { first = '', functions = '' }): string {
  const folder = mkdtempSync(join(tmpdir(), 'softhsm-module-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [source, made] = [join(folder, 'module.c'), join(folder, 'module.so')];
  const text = `
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    __attribute__((constructor)) static void first(void) { ${first} }
    ${functions}`;
  writeFileSync(source, text);
  const words = ['-shared', '-fPIC', '-o', made, source, `-Wl,--no-as-needed,-rpath,${dirname(MODULE)}`, MODULE];
  const done = spawnSync('cc', words, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`no module was made: ${done.stderr}`);
  return made;
}
