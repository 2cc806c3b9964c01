/** The claims of a token as they stand in it. Nothing proves them here: the server checks a token. */
export function unprovenClaims(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};
  } catch {
    return {};
  }
}
