import type Provider from 'oidc-provider';

type Library = typeof import('oidc-provider');

let loading: Promise<Library> | undefined;

/**
 * `oidc-provider`, loaded when first needed: it takes a third of a second of a server's start.
 *
 * Without its warning of an unsupported Node, which it prints for every one whose line is not called LTS yet. Node 24 and newer
 * are tested here, and an operator who reads it can do nothing.
 */
export function loadLibrary(): Promise<Library> {
  loading ??= loadQuietly();
  return loading;
}

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

async function loadQuietly(): Promise<Library> {
  const { warn } = console;
  console.warn = (...said: unknown[]) => {
    if (!/^\S*oidc-provider WARNING: Unsupported runtime/.test(String(said[0]))) warn(...said);
  };
  try {
    return await import('oidc-provider');
  } finally {
    console.warn = warn;
  }
}
