import { readFileSync } from 'node:fs';
import { lchown, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** Another user than the pilot's, whose a payload is. */
export interface PayloadUser {
  uid: number;
  gid: number;
  name: string;
}

/** Has nothing on a node. Its number is the kernel's own for users that it cannot name, so that every system has it. */
const NOBODY: PayloadUser = { uid: 65534, gid: 65534, name: 'nobody' };

/**
 * The user that the payloads of this pilot must be, when it runs as root: root without capabilities still owns the system's
 * files and settings (`/proc/sys`). In a container or a namespace whose root is somebody else outside, that is not so.
 */
export function payloadUser(): PayloadUser | undefined {
  return process.getuid?.() === 0 && isRootOutside() ? NOBODY : undefined;
}

function isRootOutside(): boolean {
  try {
    const [inside, outside] = readFileSync('/proc/self/uid_map', 'latin1').trim().split(/\s+/);
    return inside === '0' && outside === '0';
  } catch {
    return true;
  }
}

/** Makes everything below `directory`, and it, the user's. Follows no link; no process of a payload may run meanwhile. */
export async function giveTo(user: PayloadUser, directory: string): Promise<void> {
  for await (const entry of await opendir(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveTo(user, path);
    else await lchown(path, user.uid, user.gid);
  }
  await lchown(directory, user.uid, user.gid);
}
