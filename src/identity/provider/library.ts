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
