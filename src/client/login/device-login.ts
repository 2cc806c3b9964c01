import { Misconfigured, Unauthenticated, Unavailable } from '../../protocol/errors.ts';
import { isLoopback } from '../../protocol/loopback.ts';
import { type LoginServer, withIssuer } from './issuer.ts';
import type { StoredLogin } from './read-login.ts';
import { writeLogin } from './write-login.ts';

/** The address and code with which a person confirms a login. */
export interface DevicePrompt {
  /** Where to go. */
  address: string;
  /** The code to enter there. */
  code: string;
  /** The same with the code in it; `address` where the issuer has none. */
  addressWithCode: string;
  /** The life of the code. */
  expiresInSeconds: number;
}

/** As PanDA's own client asks for. */
const SCOPE = 'openid profile email offline_access';

/**
 * Logs somebody in by the device authorization grant (RFC 8628) and keeps the tokens in `file`: `show` tells the person what
 * to do, and then this waits until it is done.
 *
 * @returns the ID token
 * @throws {Unauthenticated} when the person or the issuer says no, or the code ends
 * @throws as `withIssuer`
 */
export async function deviceLogin(
  server: LoginServer,
  file: string,
  show: (prompt: DevicePrompt) => void,
): Promise<string> {
  return withIssuer(server, async ({ openid, configuration, audience }) => {
    const answer = await openid.initiateDeviceAuthorization(configuration, {
      scope: SCOPE,
      ...(audience && { audience }),
    });
    const address = webAddress(answer.verification_uri);
    show({
      address,
      code: answer.user_code,
      addressWithCode: answer.verification_uri_complete ? webAddress(answer.verification_uri_complete) : address,
      expiresInSeconds: answer.expires_in,
    });
    const signal = AbortSignal.timeout(answer.expires_in * 1000);
    const tokens = await whileReachable(signal, () =>
      openid.pollDeviceAuthorizationGrant(configuration, answer, undefined, { signal }),
    );
    if (typeof tokens.id_token !== 'string') throw new Misconfigured('the issuer gave no ID token: tell its operator');
    await writeLogin(file, tokens as StoredLogin);
    return tokens.id_token;
  });
}

/** A line that breaks for a moment does not end a login that somebody is just about to confirm (RFC 8628, 3.5). */
async function whileReachable<T>(signal: AbortSignal, poll: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await poll();
    } catch (error) {
      if (signal.aborted) throw new Unauthenticated('nobody confirmed the code in time: log in again');
      if (isUsedUp(error)) throw new Unauthenticated(USED_ELSEWHERE);
      if (!isUnavailable(error)) throw error;
    }
  }
}

/** The issuer gave the tokens of this login away already (RFC 6749, 5.2). */
function isUsedUp(error: unknown): boolean {
  return error instanceof Error && 'error' in error && error.error === 'invalid_grant';
}

const USED_ELSEWHERE =
  'the code of this login was used by another program, and you are not logged in here: end what you do not know with "pbook logins" ' +
  'after you have logged in again';

function isUnavailable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof Unavailable) return true;
  return false;
}

/** An address that may be printed and opened: nothing but a web page. */
function webAddress(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return url.href;
  throw new Misconfigured('the issuer names no https address to log in at: tell its operator');
}
