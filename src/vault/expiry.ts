import { appendAudit } from '../audit/audit.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { isExpired, isoSecond, shownExpiry } from '../protocol/expiry.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { DAY_MILLISECONDS, MAX_EXPIRED_AT_ONCE } from '../protocol/limits.ts';
import type { Attributes } from '../protocol/secret-attributes.ts';
import { deleteExpired, findSecretsExpiredBefore, findSecretsToExpire, noteExpired } from '../store/secret-expiry.ts';
import { type Changing, lockOwner } from './owners.ts';

/** The end of a secret: as its owner set it, and when it was found to have come. */
export interface Ending {
  attributes: Pick<Attributes, 'expires'>;
  /** Null while that was not noted. */
  expiredAt: number | null;
}

/** True from the end on. An end that was noted stays when the clock is set back. */
export function hasEnded({ attributes, expiredAt }: Ending, now: number): boolean {
  return expiredAt !== null || isExpired(attributes.expires, now);
}

/**
 * Refuses a value that no job would ever get.
 *
 * @param ending as the row is to have it @param named the change names the end
 * @throws {InvalidArgument}
 */
export function checkEnding(ending: Ending, { named, now }: { named: boolean; now: number }): void {
  if (!hasEnded(ending, now)) return;
  const { expires } = ending.attributes;
  const end = shownExpiry(expires ?? '');
  throw new InvalidArgument(
    named
      ? `expires: ${end} is over: name a time that is to come, or "never"`
      : `the secret expired at ${end}: give it another end with the new value (set_secret --expires 30d, or never)`,
  );
}

/**
 * Notes the ends that have come, each in its owner's audit, and removes the secrets whose end was noted `keptDays` ago (none without it): counted from
 * the note, so that a clock that was ahead for a moment removes nothing.
 *
 * @returns how many of each
 */
export async function endSecrets(
  { store, clock }: Pick<Changing, 'store' | 'clock'>,
  keptDays: number | undefined,
): Promise<{ ended: number; removed: number }> {
  const now = clock();
  const until = isoSecond(now);
  let ended = 0;
  let removed = 0;
  for (const { id, owner_id } of await findSecretsToExpire(store.db, until, MAX_EXPIRED_AT_ONCE)) {
    const ownerId = owner_id as OwnerId;
    const isNoted = await store.write(async (tx) => {
      const head = await lockOwner(tx, ownerId);
      if (!(await noteExpired(tx, { ownerId, id, until, now }))) return false;
      await appendAudit(tx, clock, ownerId, 'server', 'secret.expire', { secret: id }, head);
      return true;
    });
    if (isNoted) ended += 1;
  }
  if (keptDays === undefined) return { ended, removed };
  const before = now - keptDays * DAY_MILLISECONDS;
  for (const { id, owner_id } of await findSecretsExpiredBefore(store.db, before, MAX_EXPIRED_AT_ONCE)) {
    const ownerId = owner_id as OwnerId;
    const isRemoved = await store.write(async (tx) => {
      const head = await lockOwner(tx, ownerId);
      if (!(await deleteExpired(tx, { ownerId, id, before }))) return false;
      await appendAudit(tx, clock, ownerId, 'server', 'secret.delete', { secret: id, expired: true }, head);
      return true;
    });
    if (isRemoved) removed += 1;
  }
  return { ended, removed };
}
