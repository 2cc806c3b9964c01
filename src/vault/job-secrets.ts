import { Forbidden, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { LENGTH_BYTES } from '../protocol/length-prefixed.ts';
import { isSealedValue } from '../protocol/sealed-value.ts';
import { secretsText } from '../protocol/secrets-text.ts';
import { isTrusted, trustedQueues } from '../protocol/trusted-queues.ts';
import { secretIdOf } from '../sealing/data-key.ts';
import { openName } from '../sealing/value-format.ts';
import type { SealedSecret } from './current-secrets.ts';
import { keyOf, keysOf, openOrDamage } from './damaged-secrets.ts';
import { hasEnded } from './expiry.ts';
import { nameHashes } from './one-name.ts';
import type { Reading } from './owners.ts';
import { type OpenedSecret, openAll } from './secrets.ts';

/** Which secrets a job asks for. */
export interface JobSecretsRequest {
  /** The only ones it gets, as `Vault.idsOf` answered them at its submission; null for all of its owner's. */
  secretIds: readonly string[] | null;
  /** Where it runs. */
  queue: string;
  /** True for a job with a grant, which gets sealed secrets alone; others get those alone that are not. */
  sealed?: boolean;
}

/** A secret that a job gets, without its value. */
export type GivenSecret = Pick<OpenedSecret, 'id' | 'name' | 'version' | 'attributes'>;

export interface JobSecrets {
  /** As the job finds them ({@link secretsText}), in UTF-8; the caller wipes it. */
  text: Buffer;
  /** Those in the text, sorted by name. */
  secrets: GivenSecret[];
  /** The number of its owner's secrets that do not go to that queue, where it asked for all. */
  leftOut: number;
  /** The number of those that it does not get because they are sealed. */
  sealedLeftOut: number;
  /** The number of those whose end has come. */
  expiredLeftOut: number;
}

/**
 * A job's secrets as they are now, and no others. They are remembered sealed for the next job that asks the same, until the first of their ends comes.
 *
 * @throws {NotFound} when one that it names was deleted, or has expired @throws {Forbidden} when one that it names may not go to that queue:
 * the message counts them by their place in the list, as it is kept where no name may be
 * @throws {DecryptionFailed} when one does not open, with its id; none is answered then
 */
export async function openJobSecrets(
  reading: Reading,
  owner: OwnerId,
  request: JobSecretsRequest,
  now: number,
): Promise<JobSecrets> {
  const { secretIds, queue, sealed = false } = request;
  const text = await reading.current.text(owner, {
    use: JSON.stringify(['job', secretIds, queue, sealed]),
    now,
    async write(kept) {
      const { until, ...found } = await open(reading, owner, { secretIds, queue, sealed }, kept, now);
      return { text: packed(found), isWhole: true, until };
    },
  });
  return unpacked(text);
}

type Head = Omit<JobSecrets, 'text'>;
type Found = Omit<Head, 'secrets'> & { secrets: OpenedSecret[] };

/** The length of the head, the head, and the text that the job finds, in one piece of memory of its own. */
function packed({ secrets, ...leftOut }: Found): Buffer {
  const given = secrets.map(({ id, name, version, attributes }) => ({ id, name, version, attributes }));
  const head = JSON.stringify({ secrets: given, ...leftOut } satisfies Head);
  const values = secretsText(secrets);
  const headBytes = Buffer.byteLength(head);
  const text = Buffer.alloc(LENGTH_BYTES + headBytes + Buffer.byteLength(values));
  text.writeUInt32BE(headBytes);
  text.write(head, LENGTH_BYTES);
  text.write(values, LENGTH_BYTES + headBytes);
  return text;
}

/** Wipes the head, whose names are secret as well. */
function unpacked(text: Buffer): JobSecrets {
  const end = LENGTH_BYTES + text.readUInt32BE();
  const head = JSON.parse(text.toString('utf8', LENGTH_BYTES, end)) as Head;
  text.fill(0, 0, end);
  return { text: text.subarray(end), ...head };
}

/** `until`: when the first end comes of those that it looked at, in milliseconds since 1970 UTC. */
async function open(
  reading: Reading,
  owner: OwnerId,
  { secretIds: asked, queue, sealed }: Required<JobSecretsRequest>,
  kept: readonly SealedSecret[],
  now: number,
): Promise<Found & { until: number }> {
  const secretIds = asked && (await currentIds(reading, owner, kept, asked));
  const goes = new Map(kept.map((secret) => [secret.id, isTrusted(trustedQueues(secret.attributes.queues), queue)]));
  if (secretIds) {
    const places = (which: (id: string) => boolean) => secretIds.flatMap((id, n) => (which(id) ? [n + 1] : []));
    const gone = places((id) => !goes.has(id));
    if (gone.length > 0) throw new NotFound(`${named(gone, secretIds.length)} deleted since it was submitted`);
    const ended = new Set(kept.filter((secret) => hasEnded(secret, now)).map(({ id }) => id));
    const over = places((id) => ended.has(id));
    if (over.length > 0) {
      throw new NotFound(`${named(over, secretIds.length, { one: 'has', many: 'have' })} expired; give it another end`);
    }
    const elsewhere = places((id) => goes.get(id) === false);
    if (elsewhere.length > 0) {
      throw new Forbidden(`${named(elsewhere, secretIds.length)} restricted to other queues than ${queue}`);
    }
  }
  const wanted = secretIds && new Set(secretIds);
  const meant = kept.filter(({ id }) => !wanted || wanted.has(id));
  const going = meant.filter(({ id }) => goes.get(id));
  const given = going.filter((secret) => !hasEnded(secret, now));
  const opened = await openAll(reading, owner, given);
  const secrets = opened.filter(({ value }) => isSealedValue(value.reveal()) === sealed);
  const sealedLeftOut = sealed ? 0 : opened.length - secrets.length;
  return {
    secrets,
    leftOut: meant.length - going.length,
    sealedLeftOut,
    expiredLeftOut: going.length - given.length,
    until: Math.min(...given.flatMap(({ attributes: { expires } }) => (expires === null ? [] : [Date.parse(expires)]))),
  };
}

/**
 * The ids of the secrets that a task means. An earlier release made the id of a file of its name with the mark, so that a task
 * which it took may name an id that the secret of that name has no more.
 */
async function currentIds(
  { dataKeys }: Reading,
  owner: OwnerId,
  kept: readonly SealedSecret[],
  asked: readonly string[],
): Promise<readonly string[]> {
  const known = new Set(kept.map(({ id }) => id));
  if (asked.every((id) => known.has(id))) return asked;
  const current = new Map<string, string>();
  const keys = await keysOf(dataKeys, owner, kept);
  for (const secret of kept) {
    const hashes = openOrDamage(() => {
      const dataKey = keyOf(keys, secret);
      return nameHashes(dataKey, openName(dataKey, secret, secret.nameCiphertext));
    });
    // One whose name does not open is found by none but its own id.
    if ('opened' in hashes) for (const hash of hashes.opened) current.set(secretIdOf(hash), secret.id);
  }
  return asked.map((id) => (known.has(id) ? id : (current.get(id) ?? id)));
}

/** `of the 3 secrets that the task names, number 2 was` */
function named(places: readonly number[], of: number, { one, many } = { one: 'was', many: 'were' }): string {
  if (of === 1) return `the secret that the task names ${one}`;
  const which = places.length === 1 ? `number ${places[0]} ${one}` : `numbers ${places.join(', ')} ${many}`;
  return `of the ${of} secrets that the task names, ${which}`;
}
