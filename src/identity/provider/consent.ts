import { type Grant, type KoaContextWithOIDC, interactionPolicy as policies } from 'oidc-provider';

/**
 * When somebody is asked to sign in, and when to allow something. Who connects a device has said so on the device page, after
 * its code and its program; a program on the same machine asks each time, because any other can take its place (RFC 8252, 8.6).
 */
export function interactionPolicy(): policies.DefaultPolicy {
  const policy = policies.base();
  const consent = policy.get('consent');
  consent?.checks.remove('native_client_prompt');
  consent?.checks.add(
    new policies.Check(
      'native_client_prompt',
      'native clients require End-User interaction',
      'interaction_required',
      ({ oidc }) => !oidc.deviceCode && oidc.client?.applicationType === 'native' && !oidc.result?.consent,
    ),
  );
  policy
    .get('login')
    ?.checks.add(
      new policies.Check(
        'account_gone',
        'the account was disabled or removed',
        ({ oidc }) => oidc.session?.accountId !== undefined && !oidc.account,
      ),
    );
  return policy;
}

/**
 * The grant that a login goes on with. Each device has its own, so that one that logs out leaves the others logged in.
 */
export async function grantsByItself({ oidc }: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { deviceCode, client, account, provider, result } = oidc;
  if (deviceCode && client && account) {
    return allow(new provider.Grant({ clientId: client.clientId, accountId: account.accountId }), oidc);
  }
  const grantId = result?.consent?.grantId;
  return grantId === undefined ? undefined : provider.Grant.find(grantId);
}

async function allow(
  grant: Grant,
  { requestParamOIDCScopes, resourceServers = {}, requestParamScopes }: KoaContextWithOIDC['oidc'],
): Promise<Grant> {
  grant.addOIDCScope([...requestParamOIDCScopes].join(' '));
  for (const resource of Object.keys(resourceServers))
    grant.addResourceScope(resource, [...requestParamScopes].join(' '));
  await grant.save();
  return grant;
}
