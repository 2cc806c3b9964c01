import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Of the flags in `/proc/PID/fdinfo` (octal, open(2)): it is closed when another program is started. */
const CLOSE_ON_EXEC = 0o2000000;
const LAST_STANDARD = 2;

/**
 * Closes the descriptors above 2 that this process was started with and would pass on to every payload: an open directory
 * of the pilot's user is a way out of any isolation. Node marks only the first dozen of them. To be called before anything
 * is opened; Node's own descriptors are marked and stay.
 */
export function closeInheritedDescriptors(): void {
  for (const name of entriesOf('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor > LAST_STANDARD && isPassedOn(name)) closeSync(descriptor);
  }
}

function isPassedOn(name: string): boolean {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1')) ?? [];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // It was the one that read the folder.
    return false;
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
