import { COMMAND_LINE_CLIENT } from './embedded-issuer.ts';
import type { ExternalIssuer } from './external-issuer.ts';

/** `/auth/VO_auth_config.json`, which tells PanDA's clients where members of a VO log in, and as which client. */
export interface AuthConfig {
  client_id: string;
  /** Empty for a public client. */
  client_secret: string;
  audience: string;
  /** The issuer's discovery document. */
  oidc_config_url: string;
  vo: string;
  no_verify: boolean;
  robot_ids: string;
}

/**
 * Where members of each VO log in: at the external issuer that the operator configured for it, and those of `vo` else at the
 * embedded provider at `url`.
 */
export function authConfigs({
  url,
  vo,
  issuers,
}: {
  url: string;
  vo: string;
  issuers: readonly ExternalIssuer[];
}): Map<string, AuthConfig> {
  const configs = new Map([[vo, authConfig({ vo, issuer: url, clientId: COMMAND_LINE_CLIENT, audience: url })]]);
  for (const { issuer, audience, login } of issuers) {
    if (login) configs.set(login.vo, authConfig({ ...login, issuer, audience: audience[0] ?? '' }));
  }
  return configs;
}

function authConfig(login: {
  vo: string;
  issuer: string;
  clientId: string;
  clientSecret?: string;
  audience: string;
}): AuthConfig {
  return {
    client_id: login.clientId,
    client_secret: login.clientSecret ?? '',
    audience: login.audience,
    oidc_config_url: `${login.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    vo: login.vo,
    no_verify: false,
    robot_ids: '',
  };
}
