import { Misconfigured } from '../protocol/errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';

type Environment = Record<string, string | undefined>;

/**
 * The server that the user's environment names, as PanDA's clients read it: `PANDA_URL_SSL`, else `PANDA_URL`; only
 * scheme, host and port count (`/server/panda` at the end is the habit). Without either, the embedded server of this
 * machine.
 *
 * @throws {Misconfigured} when it is not an http or https address
 */
export function serverAddress(env: Environment): string {
  for (const name of ['PANDA_URL_SSL', 'PANDA_URL']) {
    const value = env[name];
    if (value) return originOf(value, name);
  }
  return `http://127.0.0.1:${DEFAULT_PORT}`;
}

/** Where sandboxes go: `PANDACACHE_URL`, else the server. @throws {Misconfigured} as {@link serverAddress} */
export function cacheAddress(env: Environment): string {
  const value = env['PANDACACHE_URL'];
  return value ? originOf(value, 'PANDACACHE_URL') : serverAddress(env);
}

function originOf(value: string, name: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Misconfigured(`${name} must be an address like https://panda.example.org:25443/server/panda`);
  }
  return url.origin;
}
