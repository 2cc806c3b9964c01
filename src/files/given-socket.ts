import { fstatSync } from 'node:fs';
import { Misconfigured } from '../protocol/errors.ts';

/** The first descriptor that a service manager gives: sd_listen_fds(3). */
const FIRST_GIVEN = 3;
const STANDARD_INPUT = 0;

/**
 * The descriptor of the listening socket that a service manager gave this process (`LISTEN_FDS` and `LISTEN_PID`: sd_listen_fds(3)), where it gave one.
 * The first descriptor behind the standard ones does not outlive a program that starts anew; the same socket on standard input does, and is
 * then the answer.
 *
 * @throws {Misconfigured} when there are several sockets, or none where one was announced
 */
export function givenSocket(environment: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: receiver } = environment;
  if (count === undefined || receiver !== String(pid)) return undefined;
  if (count !== '1') throw new Misconfigured(`the server listens on one socket, and was given ${count} (LISTEN_FDS)`);
  const found = [FIRST_GIVEN, STANDARD_INPUT].find((descriptor) => socketAt(descriptor) !== undefined);
  if (found === undefined) throw new Misconfigured('LISTEN_FDS announces a socket, and there is none');
  return found;
}

/** The socket at a descriptor is on standard input as well. */
export function isStandardInput(descriptor: number): boolean {
  const socket = socketAt(descriptor);
  return socket !== undefined && socket === socketAt(STANDARD_INPUT);
}

/** The device and number of a socket, which tell it from all others of this machine; undefined for anything else. */
function socketAt(descriptor: number): string | undefined {
  try {
    const found = fstatSync(descriptor);
    return found.isSocket() ? `${found.dev}:${found.ino}` : undefined;
  } catch {
    return undefined;
  }
}
