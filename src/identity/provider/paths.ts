/** Where the provider's endpoints are, below the server's address. People type `/device`, so it is short. */
export const PATHS = {
  authorization: '/oidc/authorize',
  token: '/oidc/token',
  jwks: '/oidc/jwks',
  userinfo: '/oidc/userinfo',
  revocation: '/oidc/revoke',
  device_authorization: '/oidc/device',
  end_session: '/oidc/sign-out',
  code_verification: '/device',
} as const;

/** Where a page waits for somebody to sign in or to allow something. */
export const INTERACTION_PATH = '/oidc/interaction';

/** Where somebody signs in who was not sent there by a program. */
export const SIGN_IN_PATH = '/sign-in';

/** The cookie that says which browser it is. Where the line is https it is for https alone. */
export const SESSION_COOKIE = { signed: true, httpOnly: true, sameSite: 'lax', path: '/' } as const;
