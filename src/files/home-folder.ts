import { homedir } from 'node:os';

/** The home of a user who is in no list of users, as containers have it. */
const NO_HOME = '/';

/** The user's home folder. In a container a user may have no entry in the list of users, and so no home of their own. */
export function homeFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (env['HOME']) return env['HOME'];
  try {
    return homedir() || NO_HOME;
  } catch {
    return NO_HOME;
  }
}
