import { hkdfSync } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, InteractionResults, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { Misconfigured } from '../../protocol/errors.ts';
import { deleteEndedPasswordLinks } from '../../store/password-links.ts';
import { deleteEndedProviderRecords } from '../../store/provider-records.ts';
import { deleteEndedSignInFailures } from '../../store/sign-in-failures.ts';
import type { Store } from '../../store/store.ts';
import { findActiveAccount } from '../accounts.ts';
import { noteLogin } from '../logins.ts';
import type { OwnRecords } from '../own-records.ts';
import type { SigningKey, SigningKeySet, SigningKeys } from '../signing-keys.ts';
import { type BrowserSession, beginBrowserSession, findBrowserSession } from './browser-session.ts';
import { loadLibrary, takeSloppyScopes } from './library.ts';
import { BROWSER, noteLogins } from './login-notes.ts';
import { providerPages } from './rendering.ts';

/** The embedded OpenID provider. */
export interface IdentityProvider {
  /** The server's public address, which is the issuer. */
  readonly url: string;
  /** Answers a request to one of the provider's endpoints. `address` is the client's, as the server knows it. */
  handle(request: IncomingMessage, response: ServerResponse, address: string): Promise<void>;
  /** The question that the page in this browser asks, or undefined when it has ended or is another browser's. */
  findInteraction(request: IncomingMessage, response: ServerResponse): Promise<PendingInteraction | undefined>;
  /** The session of this browser, or undefined when nobody is signed in there. */
  findSession(request: IncomingMessage, response: ServerResponse): Promise<BrowserSession | undefined>;
  /** Signs somebody in, in this browser, which is at `address`. */
  beginSession(request: IncomingMessage, response: ServerResponse, subject: string, address: string): Promise<void>;
}

/** Somebody has to sign in, or to allow something. */
export interface PendingInteraction {
  uid: string;
  prompt: 'login' | 'consent';
  /** The program's name. */
  client: string;
  /** The `sub` of the account that is signed in. */
  subject: string | undefined;
  scopes: readonly string[];
  /** Where the program is answered, if it is a page. */
  redirectUri: string | undefined;
  /** Where the browser goes on after somebody signed in. */
  signedIn(subject: string): Promise<string>;
  /** ... after somebody allowed what was asked for. */
  allowed(): Promise<string>;
  /** ... after somebody said no. */
  cancelled(): Promise<string>;
}

/**
 * The provider at `url`, with the accounts of `store` as members of `vo`. It signs with the newest key of `signingKeys` and
 * goes on without a restart when they were rotated. `clock` is in milliseconds.
 */
export function createIdentityProvider({
  url,
  vo,
  siteName,
  store,
  records,
  signingKeys,
  clock,
  onFault,
}: {
  url: string;
  vo: string;
  /** Stands on the pages. */
  siteName: string;
  store: Store;
  records: OwnRecords;
  signingKeys: SigningKeys;
  clock: () => number;
  /** Told of what the provider could not do through no fault of its caller's. */
  onFault: (error: unknown) => void;
}): IdentityProvider {
  const pages = providerPages({ siteName, findAccount: (subject) => findActiveAccount(store, subject) });
  let made: { from: SigningKeySet; provider: Promise<Provider> } | undefined;

  /** Made when first needed, and again for other keys: what it knows is in the store. */
  async function current(): Promise<Provider> {
    const file = await signingKeys.current();
    if (made?.from !== file) made = { from: file, provider: makeProvider(file) };
    return made.provider;
  }

  async function makeProvider({ keys }: SigningKeySet): Promise<Provider> {
    const { Provider } = await loadLibrary();
    const { providerConfiguration } = await import('./configuration.ts'); // Imports the library as well.
    const provider = new Provider(
      url,
      providerConfiguration({ url, vo, store, records, clock, keys, cookieKeys: keys.map(cookieKey), pages }),
    );
    // It finds lifetimes by the names of its classes, which a bundler may change: codes and tokens would then never end.
    if (provider.DeviceCode.name !== 'DeviceCode')
      throw new Misconfigured('this build renamed the classes of oidc-provider');
    provider.proxy = true;
    takeSloppyScopes(provider);
    for (const middleware of pages.middleware) provider.use(middleware);
    provider.use(noteLogins({ store, records, clock, onFault }));
    provider.on('server_error', (_ctx, error) => onFault(error));
    (provider as EventEmitter).on('error', (error: Error, ctx?: Partial<KoaContextWithOIDC>) => {
      if (!hasClientLeft(error, ctx)) onFault(error);
    });
    return provider;
  }

  return {
    url,
    async handle(request, response, address) {
      const provider = await current();
      await provider.callback()(atPublicAddress(request, url, address), response);
    },
    async findInteraction(request, response) {
      const provider = await current();
      try {
        return await pendingInteraction(provider, await provider.interactionDetails(request, response));
      } catch (error) {
        if ((error as Error).name === 'SessionNotFound') return undefined;
        throw error;
      }
    },
    async findSession(request, response) {
      return findBrowserSession(await current(), records, request, response);
    },
    async beginSession(request, response, subject, address) {
      const { uid, expiresAt } = await beginBrowserSession(await current(), request, response, subject);
      const userAgent = request.headers['user-agent'] ?? '';
      const note = { subject, of: uid, program: BROWSER, userAgent, address, expiresAt };
      await noteLogin({ store, records, clock }, note).catch(onFault);
    },
  };
}

/** Its answer could not be written any more. */
function hasClientLeft(error: NodeJS.ErrnoException, ctx?: Partial<KoaContextWithOIDC>): boolean {
  return (error.code === 'ECONNRESET' || error.code === 'EPIPE') && ctx?.req?.socket.destroyed === true;
}

/** Removes what has ended from what the provider and the sign-in page keep. `now` is in milliseconds. */
export async function removeEndedLogins(store: Store, now: number): Promise<void> {
  await store.write(async (tx) => {
    await deleteEndedProviderRecords(tx, now);
    await deleteEndedPasswordLinks(tx, now);
    await deleteEndedSignInFailures(tx, now);
  });
}

async function pendingInteraction(provider: Provider, interaction: Interaction): Promise<PendingInteraction> {
  const { uid, prompt, params, session, grantId, returnTo } = interaction;
  const client = await provider.Client.find(String(params['client_id']));

  async function finish(result: InteractionResults): Promise<string> {
    interaction.result = result.error === undefined ? { ...interaction.lastSubmission, ...result } : result;
    await interaction.persist();
    return returnTo;
  }

  return {
    uid,
    prompt: prompt.name === 'consent' ? 'consent' : 'login',
    client: client?.clientName ?? client?.clientId ?? 'an unknown program',
    subject: session?.accountId,
    scopes: String(params['scope'] ?? '').split(' '),
    redirectUri: typeof params['redirect_uri'] === 'string' ? params['redirect_uri'] : undefined,
    signedIn: (subject) => finish({ login: { accountId: subject } }),
    async allowed() {
      const grant = (grantId !== undefined && (await provider.Grant.find(grantId))) || newGrant();
      const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details as MissingConsent;
      if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
      if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
      for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
        grant.addResourceScope(resource, scopes.join(' '));
      }
      return finish({ consent: { grantId: await grant.save() } });
    },
    cancelled: () => finish({ error: 'access_denied', error_description: 'the login was declined' }),
  };

  function newGrant() {
    if (!session?.accountId || !client) throw new Error('consent without an account or a client');
    return new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
  }
}

interface MissingConsent {
  missingOIDCScope?: string[];
  missingOIDCClaims?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

/** The provider makes its addresses of the request's: it gets to see the one that it has, whatever a proxy or client wrote. */
function atPublicAddress(request: IncomingMessage, url: string, address: string): IncomingMessage {
  const { host, protocol } = new URL(url);
  delete request.headers['x-forwarded-host'];
  request.headers.host = host;
  request.headers['x-forwarded-proto'] = protocol.slice(0, -1);
  request.headers['x-forwarded-for'] = address;
  return request;
}

/** Signs cookies; made of a signing key, so that servers that share those share sessions as well. */
function cookieKey({ d }: SigningKey): string {
  return Buffer.from(hkdfSync('sha256', d ?? '', '', 'panda-secrets cookies', 32)).toString('base64url');
}
