import type { ClientMetadata } from 'oidc-provider';
import { COMMAND_LINE_CLIENT } from '../embedded-issuer.ts';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/**
 * The programs that may log people in. `pbook`, `prun` and PanDA's own clients are one public client (RFC 8252): by device
 * code, or, for a program on the person's own machine, by authorization code with PKCE to any port of the loopback address.
 */
export const CLIENTS: readonly ClientMetadata[] = [
  {
    client_id: COMMAND_LINE_CLIENT,
    client_name: 'PanDA command line (pbook, prun)',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: [DEVICE_GRANT, 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
    scope: 'openid profile email offline_access panda',
  },
];
