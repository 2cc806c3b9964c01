import type Provider from 'oidc-provider';

/**
 * Lets requests through whose `scope` has a space too many, as that of PanDA's own client has at its end. RFC 6749 (3.3) does
 * not allow one, and the provider keeps to it.
 */
export function takeSloppyScopes(provider: Provider): void {
  const bodies = new WeakMap<object, unknown>();
  Object.defineProperty(provider.OIDCContext.prototype, 'body', {
    configurable: true,
    get(this: object) {
      return bodies.get(this);
    },
    set(this: object, body: Record<string, unknown> | undefined) {
      const scope = body?.['scope'];
      bodies.set(this, typeof scope === 'string' ? { ...body, scope: scope.trim().replace(/ +/g, ' ') } : body);
    },
  });
}
