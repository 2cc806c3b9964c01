import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

/** A site's own OpenID issuer, on a free port: it has another client, other names for claims, and people of its own. */
export interface SiteIssuer {
  url: string;
  clientId: string;
  clientSecret: string;
  /** Confirms a code, as somebody does in their browser. */
  confirm(userCode: string, subject: string): Promise<void>;
  stop(): void;
}

export async function startSiteIssuer(t: TestContext): Promise<SiteIssuer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realms/site`;
  const clientId = 'panda-at-site';
  const clientSecret = 'of-the-client-of-the-site-and-not-empty';
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const provider = new Provider(url, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'site', alg: 'RS256', use: 'sig' }] as never },
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ['sub'], profile: ['full_name', 'entitlements'], email: ['email'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, full_name: `${sub} of the site`, entitlements: ['atlas', 'atlas/production'] }),
    }),
    cookies: { keys: ['only for this test'] },
    features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true }, revocation: { enabled: true } },
  });
  // Below the path of the issuer, as Keycloak is.
  const handle = provider.callback();
  server.on('request', (request, response) => {
    request.url = (request.url ?? '').replace(/^\/realms\/site/, '');
    Object.assign(request, { originalUrl: `/realms/site${request.url}` });
    handle(request, response);
  });
  const stop = () => {
    server.close().closeAllConnections();
  };
  t.after(stop);

  return {
    url,
    clientId,
    clientSecret,
    async confirm(userCode, subject) {
      const code = await provider.DeviceCode.findByUserCode(userCode.replace('-', ''));
      if (!code) throw new Error(`no code ${userCode}`);
      const grant = new provider.Grant({ accountId: subject, clientId });
      grant.addOIDCScope('openid profile email offline_access');
      const scope = 'openid profile email offline_access';
      Object.assign(code, { accountId: subject, grantId: await grant.save(), scope, claims: {}, authTime: 1 });
      await code.save();
    },
    stop,
  };
}
