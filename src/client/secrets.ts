import type { ListedDelivery, ListedSecret, ListedVersion } from '../protocol/calls/creds.ts';
import { Unavailable, UnknownCall } from '../protocol/errors.ts';
import { type WireName, wireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import { checkValue } from '../protocol/text.ts';
import type { Transport } from './transport.ts';

/** The caller's secrets. Every call throws as `Transport` says. What answers text answers the server's message. */
export interface SecretCalls {
  /**
   * @param options `queues`: the only ones whose jobs get it, `['*']` for any (our extension); left out, a secret that is there
   * keeps its own
   * @throws InvalidValue before anything is sent; UnknownCall when queues are given to a server that knows none
   */
  setSecret(name: WireName, value: string, options?: { queues?: readonly string[] | undefined }): Promise<string>;
  /** Those of `names` that exist, or all of them. */
  getSecrets(names?: readonly WireName[]): Promise<Map<WireName, Plaintext>>;
  /** A name that does not exist is not an error, as with PanDA. */
  deleteSecret(name: WireName): Promise<string>;
  deleteAllSecrets(): Promise<string>;
  /** Names, sizes, trusted queues and dates, without values (our extension). */
  listSecrets(): Promise<ListedSecret[]>;
  /** The queues of those secrets that may not go to all; none on a server that knows none. */
  getTrustedQueues(): Promise<Map<WireName, readonly string[]>>;
  getSecretVersions(name: WireName): Promise<ListedVersion[]>;
  restoreSecret(name: WireName, version: number): Promise<string>;
  getSecretDeliveries(query?: { name?: WireName; limit?: number }): Promise<ListedDelivery[]>;
}

export function secretCalls(transport: Transport): SecretCalls {
  const set = async (key: WireName | null, value: string | null, queues?: readonly string[]) =>
    (await transport.post<null>('creds/set_user_secrets', { key, value, ...(queues && { queues }) })).message;
  const list = async () => (await transport.get<ListedSecret[]>('creds/list_user_secrets')).data;

  return {
    async setSecret(name, value, { queues } = {}) {
      checkValue(value);
      // A server that knows no queues might take the value and leave the queues out: it does not know this call either.
      if (queues) await list();
      return set(name, value, queues);
    },
    async getSecrets(names) {
      const { data } = await transport.get<unknown>('creds/get_user_secrets', { keys: names });
      return parseSecrets(data);
    },
    deleteSecret: (name) => set(name, null),
    deleteAllSecrets: () => set(null, null),
    listSecrets: list,
    async getTrustedQueues() {
      const listed = await list().catch((error: Error) => {
        if (error instanceof UnknownCall) return [];
        throw error;
      });
      return new Map(listed.flatMap(({ name, kind, queues }) => (queues ? [[wireName(name, kind), queues]] : [])));
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
