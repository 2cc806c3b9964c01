import { spawn } from 'node:child_process';
import { LOCK } from './process-lock.ts';

/**
 * Waits for the end of its standard input, which the pilot holds and no payload: it comes when the pilot ends, also by
 * SIGKILL. Then everything in the directory goes but the lock, by which the next pilot finds what is left of the payloads.
 */
const SCRIPT = `
trap "" HUP INT TERM
cat > /dev/null
for entry in "$1"/* "$1"/.[!.]*; do
  [ "$entry" = "$1/$2" ] || { chmod -R u+rwx "$entry"; rm -rf "$entry"; }
done 2> /dev/null`;

/** Starts a process that empties `directory`, the pilot's own in which secrets are, as soon as this one has ended. */
export function guardSecrets(directory: string): { dismiss(): void } {
  const guard = spawn('/bin/sh', ['-c', SCRIPT, 'panda-pilot-guard', directory, LOCK], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    // In a session of its own, as what ends the pilot may end everything in that one.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it the next pilot on the node does the work.
  guard.on('error', () => {});
  guard.unref();
  const { stdin } = guard;
  stdin.on('error', () => {});
  return { dismiss: () => stdin.end() };
}
