import { spawnSync } from 'node:child_process';

/** prctl(2). */
const PR_SET_DUMPABLE = 4;
const FFI_FLAG = '--experimental-ffi';

/**
 * Keeps this process's memory, where secrets are in the clear, from other processes of the same user and from core files. It
 * starts the program anew, under the same pid, when Node can do that only with a flag; so it is to be called first of all,
 * before anything is read. What a payload starts is not concerned.
 *
 * @returns whether the memory is out of reach: Node before 26 cannot do that. Core files are switched off either way
 */
export async function protectMemory(): Promise<boolean> {
  allowNoCoreFiles();
  if (!process.allowedNodeEnvironmentFlags.has(FFI_FLAG)) return false;
  if (!process.execArgv.includes(FFI_FLAG)) restartWith(FFI_FLAG);
  return await becomeUndumpable();
}

/** A crash must not leave the pilot's memory on a disk. Where this fails nothing is lost. */
function allowNoCoreFiles(): void {
  spawnSync('prlimit', ['--pid', String(process.pid), '--core=0:0'], { stdio: 'ignore' });
}

function restartWith(flag: string): void {
  const [program = process.execPath, ...words] = process.argv;
  process.execve?.(process.execPath, [program, flag, ...process.execArgv, ...words]);
}

async function becomeUndumpable(): Promise<boolean> {
  try {
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, {
      prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
    });
    return functions.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0;
  } catch {
    return false;
  }
}
