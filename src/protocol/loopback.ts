const LOOPBACK = /^(localhost|(::ffff:)?127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/**
 * Tells whether something is this machine, under a name that no name server can give to another.
 *
 * @param host the host of a URL, an address to listen on, or that of a socket
 */
export function isLoopback(host: string | undefined): boolean {
  return host !== undefined && LOOPBACK.test(host);
}
