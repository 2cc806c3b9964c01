import { splitWireName, type WireName } from '../../src/protocol/names.ts';
import { ok, type StubServer, startStub } from '../client/stub-server.ts';

/** A server that keeps secrets as PanDA does. */
export interface SecretsStub extends StubServer {
  secrets: Map<string, string>;
}

/** @param told what else it tells of a secret, by its wire name */
export async function startSecretsStub(
  secrets: Record<string, string> = {},
  told: Record<string, object> = {},
): Promise<SecretsStub> {
  const kept = new Map(Object.entries(secrets));
  const stub = await startStub({
    'creds/set_user_secrets': ({ body }) => {
      const { key, value } = JSON.parse(String(body)) as { key: string | null; value: string | null };
      if (key === null) kept.clear();
      else if (value === null) kept.delete(key);
      else kept.set(key, value);
      return ok();
    },
    'creds/list_user_secrets': () =>
      ok([...kept.keys()].map((wire) => ({ ...splitWireName(wire as WireName), ...told[wire] }))),
    'creds/get_user_secrets': () => ok(JSON.stringify(Object.fromEntries(kept))),
  });
  return { ...stub, secrets: kept };
}
