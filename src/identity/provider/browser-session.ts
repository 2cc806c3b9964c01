import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import { SESSION_SECONDS } from '../../protocol/limits.ts';
import type { OwnRecords } from '../own-records.ts';
import { SESSION_COOKIE } from './paths.ts';

type Context = ReturnType<Provider['createContext']>;
type Session = InstanceType<Provider['Session']>;

/** A browser in which somebody is signed in. */
export interface BrowserSession {
  /** The `sub` of the account. */
  subject: string;
  /** The `claim` of the login that it is. */
  login: string;
  /** Stands in the forms of this browser's pages: another site's page cannot know it. */
  formToken: string;
  /** True for what a form of this browser's pages brought as its token. */
  isFormToken(token: unknown): boolean;
}

/** The session of the browser that sent a request, if somebody is signed in there. */
export async function findBrowserSession(
  provider: Provider,
  records: Pick<OwnRecords, 'hash'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<BrowserSession | undefined> {
  const session = await sessionOf(provider, provider.createContext(request, response));
  const { accountId: subject, uid } = session;
  if (subject === undefined) return undefined;
  // The session's id is what its cookie says, so that nobody else can make the token.
  const formToken = createHash('sha256').update(`forms of ${session.jti}`).digest('base64url');
  return {
    subject,
    login: records.hash(uid),
    formToken,
    isFormToken(token) {
      const expected = Buffer.from(formToken);
      const given = Buffer.from(typeof token === 'string' ? token : '');
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}

/**
 * Signs somebody in, in a session of its own with an id of its own: nothing of one that was there before goes on, be it another
 * person's or one that somebody else began here. The cookie is set with the answer.
 */
export async function beginBrowserSession(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  subject: string,
): Promise<{ uid: string; expiresAt: number }> {
  const context = provider.createContext(request, response);
  const before = await sessionOf(provider, context);
  if (before.exp !== undefined) await before.destroy();
  const session = new provider.Session();
  session.loginAccount({ accountId: subject });
  const id = await session.save(SESSION_SECONDS);
  context.cookies.secure = provider.issuer.startsWith('https:');
  const expires = new Date(session.exp * 1000);
  context.cookies.set(provider.cookieName('session'), id, { ...SESSION_COOKIE, expires });
  return { uid: session.uid, expiresAt: expires.getTime() };
}

function sessionOf(provider: Provider, context: Context): Promise<Session> {
  return provider.Session.get(context as unknown as Parameters<Provider['Session']['get']>[0]);
}
