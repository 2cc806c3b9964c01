import { splitWireName, type WireName } from '../../src/protocol/names.ts';
import { ok, type StubServer, startStub } from '../client/stub-server.ts';

/** A server that keeps secrets as PanDA does. */
export interface SecretsStub extends StubServer {
  secrets: Map<string, string>;
}

export async function startSecretsStub(secrets: Record<string, string> = {}): Promise<SecretsStub> {
  const kept = new Map(Object.entries(secrets));
  const stub = await startStub({
    'creds/set_user_secrets': ({ body }) => {
      const { key, value } = JSON.parse(String(body)) as { key: string | null; value: string | null };
      if (key === null) kept.clear();
      else if (value === null) kept.delete(key);
      else kept.set(key, value);
      return ok();
    },
    'creds/list_user_secrets': () => ok([...kept.keys()].map((wire) => splitWireName(wire as WireName))),
    'creds/get_user_secrets': () => ok(JSON.stringify(Object.fromEntries(kept))),
  });
  return { ...stub, secrets: kept };
}
