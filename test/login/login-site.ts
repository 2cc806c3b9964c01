import type { TestContext } from 'node:test';
import { addAccount } from '../../src/identity/accounts.ts';
import { createSignIn, type SignIn } from '../../src/identity/sign-in.ts';
import type { Settings } from '../../src/site/settings.ts';
import { changeAccount } from '../../src/store/accounts.ts';
import type { Store } from '../../src/store/store.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { createVisitor, hiddenField, type Visitor } from './visitor.ts';

export const PASSWORD = 'correct horse battery';
/** Its hash at a cost that tests can bear. */
export const PASSWORD_HASH = '$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xXt6EAFzAOlee5Hgl8R5+kLA6sDARjRcMGtm6fZJsa8';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** A server at which people log in, and what its operator and their programs do. */
export interface LoginSite extends TestServer {
  /** The database, as an administration command opens it. */
  store: Store;
  signIn: SignIn;
  /** Begins a login, as a program does. */
  beginLogin(parameters?: Record<string, string>): Promise<DeviceAnswer>;
  /** Asks for the tokens of a login that was begun. */
  takeTokens(deviceCode: string, parameters?: Record<string, string>): Promise<TokenAnswer>;
  renew(refreshToken: string | undefined): Promise<TokenAnswer>;
  revoke(token: string | undefined): Promise<Response>;
  /** A whole login of a user, by a browser of its own. */
  logIn(name: string): Promise<TokenAnswer>;
}

export interface DeviceAnswer {
  device_code: string;
  user_code: string;
  verification_uri: string;
  verification_uri_complete: string;
}

/** The answer of the token endpoint: tokens, or an error. */
export interface TokenAnswer {
  id_token: string;
  access_token: string;
  refresh_token: string;
  error?: string;
  error_description?: string;
}

/** Starts a server whose accounts `users` have the password {@link PASSWORD}. */
export async function startLoginSite(
  t: TestContext,
  {
    users = ['alice'],
    ...options
  }: { users?: string[]; settings?: Partial<Settings>; clock?: () => number; logLevel?: string } = {},
): Promise<LoginSite> {
  const server = await startServer(t, options);
  const { store } = server.installation;
  const signIn = createSignIn({ store, clock: options.clock ?? Date.now });
  for (const name of users) {
    const shownAs = `${name.charAt(0).toUpperCase()}${name.slice(1)} Doe`;
    await addAccount(store, Date.now, name, shownAs);
    await store.write((tx) => changeAccount(tx, name, { password_hash: PASSWORD_HASH, claimed: 1 }));
  }

  const send = (path: string, parameters: Record<string, string>) =>
    fetch(new URL(path, server.url), {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'pbook', ...parameters }),
    });
  const json = async <T>(answer: Promise<Response>) => (await (await answer).json()) as T;

  const site: LoginSite = {
    ...server,
    store,
    signIn,
    beginLogin: (parameters) =>
      json(send('/oidc/device', { scope: 'openid profile email offline_access', ...parameters })),
    takeTokens: (deviceCode, parameters) =>
      json(send('/oidc/token', { grant_type: DEVICE_GRANT, device_code: deviceCode, ...parameters })),
    renew: (refreshToken = '') =>
      json(send('/oidc/token', { grant_type: 'refresh_token', refresh_token: refreshToken })),
    revoke: (token = '') => send('/oidc/revoke', { token }),
    async logIn(name) {
      const begun = await site.beginLogin();
      await confirmDevice(createVisitor(server.url), begun, name);
      return site.takeTokens(begun.device_code);
    },
  };
  return site;
}

/** Connects a device as somebody does in their browser. Answers the last page. */
export async function confirmDevice(
  visitor: Visitor,
  { verification_uri_complete, user_code }: Pick<DeviceAnswer, 'verification_uri_complete' | 'user_code'>,
  name: string,
  password = PASSWORD,
): Promise<string> {
  let page = await visitor.get(verification_uri_complete);
  if (page.url.includes('/sign-in?')) {
    page = await visitor.submit(page.url, { name, password });
    if (page.url.includes('/sign-in?')) return page.html;
  }
  const xsrf = hiddenField(page.html, 'xsrf');
  return (await visitor.submit('/device', { xsrf, user_code, confirm: 'yes' })).html;
}

/** The claims of a token. */
export function claims(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
