import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Delivery } from '../../delivery/delivery.ts';
import type { Answer } from '../../protocol/calls/call.ts';
import * as calls from '../../protocol/calls/creds.ts';
import { type Success, succeeded } from '../../protocol/envelope.ts';
import { InvalidArgument, NotFound } from '../../protocol/errors.ts';
import { parseWireName, splitWireName } from '../../protocol/names.ts';
import {
  ATTRIBUTE_NAMES,
  type AttributeChange,
  type GivenAttributes,
  parseAttributes,
  toldAttributes,
} from '../../protocol/secret-attributes.ts';
import { quoted, secretsText } from '../../protocol/secrets-text.ts';
import { ownText } from '../../protocol/text.ts';
import { trustedQueues } from '../../protocol/trusted-queues.ts';
import type { DamagedSecret, ReadableSecrets, Vault } from '../../vault/vault.ts';
import { damagedRemark } from '../damaged-remark.ts';
import { ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** The rooms that these calls work on. */
export interface SecretRooms {
  vault: Vault;
  delivery: Delivery;
  /** @throws {InvalidArgument} naming the queues that are not there, and those that are */
  checkQueues(names: readonly string[]): Promise<void>;
  /** The site record of a queue. */
  siteRecord(queue: string): Promise<string | undefined>;
}

/** A user's secrets. */
export function credsRoutes(
  app: FastifyInstance,
  { vault, delivery, checkQueues, siteRecord }: SecretRooms,
  logger: Logger,
): void {
  route(app, calls.setUserSecrets, async ({ key, value, ...given }, request) => {
    const owner = ownerOf(request);
    const [attribute] = ATTRIBUTE_NAMES.filter((name) => given[name] !== undefined);
    if (attribute !== undefined && (key === null || value === null)) {
      throw new InvalidArgument(`'${attribute}' goes with a 'key' and a 'value'`);
    }
    if (key === null) {
      if (value !== null) throw new InvalidArgument("'value' must be null where 'key' is: that deletes all secrets");
      await vault.deleteAll(owner);
    } else if (value === null) {
      const found = await vault.delete(owner, parseWireName(key));
      // Still OK: PanDA's clients take anything else for a failure.
      if (!found) return succeeded({ found }, 'OK');
    } else {
      const name = parseWireName(key);
      await vault.set(owner, name, value, await checkedAttributes(given));
    }
    return succeeded(null, 'OK');
  });

  // PanDA answers JSON text inside JSON.
  route(app, calls.getUserSecrets, async ({ keys }, request) => {
    const owner = ownerOf(request);
    // Those that were named are answered whole or not at all; a list of all is what its owner finds the damaged ones by.
    if (keys) {
      const secrets = await vault.get(owner, keys.map(parseWireName));
      return { text: ownText(writeReadable({ secrets, damaged: [] })) };
    }
    return { text: await vault.readableText(owner, writeReadable) };
  });

  route(app, calls.deleteSecret, async ({ id }, request) => {
    const found = await vault.deleteById(ownerOf(request), id);
    if (!found) throw new NotFound(`you have no secret with the id ${id}`);
    return succeeded(null, 'OK');
  });

  route(app, calls.listUserSecrets, async (_args, request) => {
    const { secrets, damaged } = await vault.list(ownerOf(request));
    const listed: calls.ListedSecret[] = secrets.map((secret) => ({
      id: secret.id,
      ...splitWireName(secret.name),
      version: secret.version,
      size: secret.size,
      sealed: secret.sealed,
      ...toldAttributes(secret.attributes),
      created_at: isoTime(secret.createdAt),
      updated_at: isoTime(secret.updatedAt),
      expired: secret.expired,
      last_used_at: secret.lastUsedAt === null ? null : isoTime(secret.lastUsedAt),
    }));
    return succeeded(listed, remarkOn(damaged));
  });

  route(app, calls.getSecretVersions, async ({ key }, request) => {
    const versions = await vault.versions(ownerOf(request), parseWireName(key));
    const listed: calls.ListedVersion[] = versions.map(({ version, size, createdAt, current }) => ({
      version,
      size,
      created_at: isoTime(createdAt),
      current,
    }));
    return succeeded(listed);
  });

  route(app, calls.getSecretVersion, async ({ key, version }, request) => {
    const { name, value } = await vault.version(ownerOf(request), parseWireName(key), version);
    const answer: Success<Answer<typeof calls.getSecretVersion>> = succeeded({ key: name, value: '' });
    return { text: ownText(withText(answer, 'value', value.reveal())) };
  });

  route(app, calls.restoreSecret, async ({ key, version }, request) =>
    succeeded(await vault.restore(ownerOf(request), parseWireName(key), version), 'OK'),
  );

  route(app, calls.getSecretDeliveries, async ({ key, limit }, request) => {
    const which = { ...(key !== undefined && { name: parseWireName(key) }), ...(limit !== undefined && { limit }) };
    return succeeded(await delivery.history(ownerOf(request), which));
  });

  route(app, calls.getQueueNotices, async (_args, request) => succeeded(await delivery.queueNotices(ownerOf(request))));

  route(app, calls.getSiteRecord, async ({ queue }) => succeeded((await siteRecord(queue)) ?? null));

  function writeReadable({ secrets, damaged }: ReadableSecrets): string {
    const envelope: Success<Answer<typeof calls.getUserSecrets>> = succeeded('', remarkOn(damaged));
    return withText(envelope, 'data', secretsText(secrets));
  }

  /** For the caller, and by ids for the operator, whose database it is. */
  function remarkOn(damaged: readonly DamagedSecret[]): string {
    if (damaged.length > 0) logger.error({ part: 'vault', damagedSecrets: damaged.map(({ id }) => id) });
    return damagedRemark(damaged);
  }

  /** The one place where attributes are read: from here to the row they are in the spelling that is kept. */
  async function checkedAttributes(given: GivenAttributes): Promise<AttributeChange> {
    const change = parseAttributes(given);
    const queues = trustedQueues(change.queues ?? null);
    if (queues) await checkQueues(queues);
    return change;
  }
}

/** An answer's JSON with a text that holds values of secrets in place of its one empty `field`: see {@link quoted}. */
function withText(answer: Success<unknown>, field: string, text: string): string {
  return JSON.stringify(answer).replace(`"${field}":""`, () => `"${field}":${quoted(text)}`);
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
