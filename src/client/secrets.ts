import type { ListedDelivery, ListedSecret, ListedVersion } from '../protocol/calls/creds.ts';
import { Unavailable } from '../protocol/errors.ts';
import type { WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import { checkValue } from '../protocol/text.ts';
import type { Transport } from './transport.ts';

/** The caller's secrets. Every call throws as `Transport` says. What answers text answers the server's message. */
export interface SecretCalls {
  /** @throws InvalidValue before anything is sent */
  setSecret(name: WireName, value: string): Promise<string>;
  /** Those of `names` that exist, or all of them. */
  getSecrets(names?: readonly WireName[]): Promise<Map<WireName, Plaintext>>;
  /** A name that does not exist is not an error, as with PanDA. */
  deleteSecret(name: WireName): Promise<string>;
  deleteAllSecrets(): Promise<string>;
  /** Names, sizes and dates, without values (our extension). */
  listSecrets(): Promise<ListedSecret[]>;
  getSecretVersions(name: WireName): Promise<ListedVersion[]>;
  restoreSecret(name: WireName, version: number): Promise<string>;
  getSecretDeliveries(query?: { name?: WireName; limit?: number }): Promise<ListedDelivery[]>;
}

export function secretCalls(transport: Transport): SecretCalls {
  const set = async (key: WireName | null, value: string | null) =>
    (await transport.post<null>('creds/set_user_secrets', { key, value })).message;

  return {
    async setSecret(name, value) {
      checkValue(value);
      return set(name, value);
    },
    async getSecrets(names) {
      const { data } = await transport.get<unknown>('creds/get_user_secrets', { keys: names });
      return parseSecrets(data);
    },
    deleteSecret: (name) => set(name, null),
    deleteAllSecrets: () => set(null, null),
    async listSecrets() {
      return (await transport.get<ListedSecret[]>('creds/list_user_secrets')).data;
    },
    async getSecretVersions(name) {
      return (await transport.get<ListedVersion[]>('creds/get_secret_versions', { key: name })).data;
    },
    async restoreSecret(name, version) {
      return (await transport.post('creds/restore_secret', { key: name, version })).message;
    },
    async getSecretDeliveries({ name, limit } = {}) {
      return (await transport.get<ListedDelivery[]>('creds/get_secret_deliveries', { key: name, limit })).data;
    },
  };
}

/** `data` of `get_user_secrets` is the JSON *text* of an object name -> value; null or empty when there are none. */
function parseSecrets(data: unknown): Map<WireName, Plaintext> {
  const secrets = new Map<WireName, Plaintext>();
  if (data === null || data === undefined || data === '') return secrets;
  const values = typeof data === 'string' ? parseJson(data) : data;
  if (values === null || typeof values !== 'object' || Array.isArray(values)) throw unreadable();
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'string') throw unreadable();
    secrets.set(name as WireName, new Plaintext(value));
  }
  return secrets;
}

/** Parses without letting the parser's message, which quotes the text, go further. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable();
  }
}

function unreadable(): Unavailable {
  return new Unavailable('the server answered secrets in a form that this release does not know');
}
