import type { ListedDelivery, ListedQueueNotices, ListedSecret, ListedVersion } from '../protocol/calls/creds.ts';
import { NotFound, Unavailable, UnknownCall } from '../protocol/errors.ts';
import { splitWireName, type WireName, wireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import { ATTRIBUTE_NAMES, type GivenAttributes, type ToldAttributes } from '../protocol/secret-attributes.ts';
import { checkValue } from '../protocol/text.ts';
import type { Transport } from './transport.ts';

/** The caller's secrets. Every call throws as `Transport` says. A call that answers text answers the server's message. */
export interface SecretCalls {
  /**
   * @param attributes carried beside its value (our extension); those that are left out stay
   * @throws InvalidValue before anything is sent; UnknownCall when attributes are given to a server that knows none
   */
  setSecret(name: WireName, value: string, attributes?: GivenAttributes): Promise<string>;
  /** Those of `names` that exist, or all of them. @param remark is told what the server says of damaged ones, which are left out of all */
  getSecrets(names?: readonly WireName[], remark?: (text: string) => void): Promise<Map<WireName, Plaintext>>;
  /** @throws NotFound when there is none, from a server that tells; PanDA's own does not */
  deleteSecret(name: WireName): Promise<string>;
  /** Deletes the one of that id, also when it is damaged (our extension). @throws Refused when there is none */
  deleteSecretById(id: string): Promise<string>;
  deleteAllSecrets(): Promise<string>;
  /** Names, sizes, attributes and dates, without values (our extension). @param remark as above */
  listSecrets(remark?: (text: string) => void): Promise<readonly ListedSecret[]>;
  /** The attributes of each secret; none on a server that knows no attributes. */
  getAttributes(): Promise<Map<WireName, ToldSecret>>;
  getSecretVersions(name: WireName): Promise<readonly ListedVersion[]>;
  /** The name, of a string or a file, and the value that a kept version had (our extension). */
  getSecretVersion(name: WireName, version: number): Promise<{ name: WireName; value: Plaintext }>;
  /** @returns with the version that it becomes */
  restoreSecret(name: WireName, version: number): Promise<{ message: string; version: number }>;
  getSecretDeliveries(query?: { name?: WireName; limit?: number }): Promise<readonly ListedDelivery[]>;
  /** Queues that give secrets over TLS alone; none from a server that does not tell. */
  getQueueNotices(): Promise<ListedQueueNotices>;
  /** The site record of a queue, as the server shows it; null where there is nothing (our extension). */
  getSiteRecord(queue: string): Promise<string | null>;
}

/** A secret as the server tells of it, as far as it does. */
export type ToldSecret = Partial<ToldAttributes> &
  Partial<Pick<ListedSecret, 'updated_at' | 'last_used_at' | 'expired'>>;

export function secretCalls(transport: Transport): SecretCalls {
  const set = async (key: WireName | null, value: string | null, attributes: GivenAttributes = {}) =>
    (await transport.post('creds/set_user_secrets', { key, value, ...attributes })).message;
  const list = async (remark?: (text: string) => void) => {
    const { data, message } = await transport.get('creds/list_user_secrets', {});
    if (message !== '' && message !== 'OK') remark?.(message);
    return data;
  };

  return {
    async setSecret(name, value, attributes = {}) {
      checkValue(value);
      // A server that knows no attributes might take the value and leave them out: it does not know this call either.
      const given = ATTRIBUTE_NAMES.filter((attribute) => attributes[attribute] !== undefined);
      const [known] = given.length > 0 ? await list() : [];
      const unknown = known && given.filter((attribute) => !(attribute in known));
      if (unknown && unknown.length > 0) {
        throw new UnknownCall(
          `the server is of an earlier release and knows no ${unknown.join(' or ')} of a secret: nothing was sent`,
        );
      }
      return set(name, value, attributes);
    },
    async getSecrets(names, remark) {
      const { data, message } = await transport.get('creds/get_user_secrets', { keys: names });
      if (message !== '' && message !== 'OK') remark?.(message);
      return parseSecrets(data);
    },
    async deleteSecret(name) {
      const { message, data } = await transport.post('creds/set_user_secrets', { key: name, value: null });
      if (data?.found === false) throw noSuchSecret([splitWireName(name).name]);
      return message;
    },
    deleteSecretById: async (id) => (await transport.post('creds/delete_secret', { id })).message,
    deleteAllSecrets: () => set(null, null),
    listSecrets: list,
    async getAttributes() {
      const listed = await list().catch((error: Error) => {
        if (error instanceof UnknownCall) return [];
        throw error;
      });
      return new Map(listed.map((secret) => [wireName(secret.name, secret.kind), secret]));
    },
    async getSecretVersions(name) {
      return (await transport.get('creds/get_secret_versions', { key: name })).data;
    },
    async getSecretVersion(name, version) {
      const { key, value } = (await transport.get('creds/get_secret_version', { key: name, version })).data;
      return { name: key as WireName, value: new Plaintext(value) };
    },
    async restoreSecret(name, version) {
      const { message, data } = await transport.post('creds/restore_secret', { key: name, version });
      return { message, version: data.version };
    },
    async getSecretDeliveries({ name, limit } = {}) {
      return (await transport.get('creds/get_secret_deliveries', { key: name, limit })).data;
    },
    getSiteRecord: async (queue) => (await transport.get('creds/get_site_record', { queue })).data,
    async getQueueNotices() {
      try {
        return (await transport.get('creds/get_queue_notices', {})).data;
      } catch (error) {
        if (error instanceof UnknownCall) return { tls_queues: [], changes: [] };
        throw error;
      }
    },
  };
}

/** @param names as their owner knows them */
export function noSuchSecret(names: readonly string[]): NotFound {
  return new NotFound(`you have no secret named ${names.join(', ')}; "pbook list_secrets" lists them`);
}

/** @param name of one that was sealed on this device */
export function goneFromServer(name: string): NotFound {
  return new NotFound(
    `${name} was sealed on this device, and the server has it no more: where it was deleted on another device, or its end has come, ` +
      `"pbook delete_secret ${name}" tells this one; else set it anew`,
  );
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
