import { spawn } from 'node:child_process';
import { LOCK } from './process-lock.ts';
import { MARK_VARIABLE } from './process-tree.ts';

/**
 * $1: the directory, $2: its lock, $3: the payload's mark, if its processes are to end as well. Waits for the end of its standard input,
 * which the pilot holds and no payload: it comes when the pilot ends, also by SIGKILL. Then everything in the directory goes but the
 * lock, by which the next pilot finds what is left of the payloads, and those links into it in the current directory that standard
 * input has named, a line each. With a mark nothing is left to find, and the directory goes as well.
 */
const SCRIPT = `
trap "" HUP INT QUIT TERM
links=$(cat)
for entry in "$1"/* "$1"/.[!.]*; do
  [ "$entry" = "$1/$2" ] || { chmod -R u+rwx "$entry"; rm -rf "$entry"; }
done 2> /dev/null
printf '%s\\n' "$links" | while IFS= read -r link; do
  case $(readlink "./$link") in "$1"/*) rm -f "./$link" ;; esac
done 2> /dev/null
[ -n "$3" ] || exit 0
for signal in TERM KILL; do
  found=
  for process in /proc/[0-9]*; do
    grep -qzs "^$3" "$process/environ" && kill -s "$signal" "\${process#/proc/}" && found=yes
  done 2> /dev/null
  [ -n "$found" ] || break
  sleep 2
done
rm -rf "$1"`;

export interface GuardOptions {
  /** The names of links into the directory in the current one, which go too. */
  links?: readonly string[];
  /** The beginning of the mark of the payload (`MARK_VARIABLE`), whose processes end too. */
  mark?: string;
}

/** Starts a process that empties `directory`, the pilot's own in which secrets are, as soon as this one has ended. */
export function guardSecrets(directory: string, { links, mark }: GuardOptions = {}): { dismiss(): void } {
  const marked = mark === undefined ? '' : `${MARK_VARIABLE}=${mark}`;
  const guard = spawn('/bin/sh', ['-c', SCRIPT, 'panda-pilot-guard', directory, LOCK, marked], {
    ...(links ? {} : { cwd: '/' }),
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
  if (links) stdin.write(links.map((name) => `${name}\n`).join(''));
  return { dismiss: () => stdin.end() };
}
