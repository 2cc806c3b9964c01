import { QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_OWNER_BYTES, MAX_SECRETS_PER_OWNER } from '../protocol/limits.ts';
import { sumSecrets } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

/**
 * Checks that an owner may keep so much more; less is always allowed. Under the owner's lock.
 *
 * @param change `added`: secrets; `grown`: bytes of values
 * @throws {QuotaExceeded} beyond `MAX_SECRETS_PER_OWNER` or `MAX_OWNER_BYTES`
 */
export async function checkQuota(
  tx: Database,
  ownerId: OwnerId,
  { added, grown }: { added: number; grown: number },
): Promise<void> {
  if (added <= 0 && grown <= 0) return;
  const [kept] = await sumSecrets(tx, { ownerId });
  const count = (kept?.count ?? 0) + added;
  const bytes = (kept?.bytes ?? 0) + grown;
  if (count > MAX_SECRETS_PER_OWNER) {
    throw new QuotaExceeded(
      `you keep ${MAX_SECRETS_PER_OWNER} secrets, as many as one person may; delete one that you no longer need first`,
    );
  }
  if (bytes > MAX_OWNER_BYTES) {
    throw new QuotaExceeded(
      `with this value your secrets would have ${bytes} bytes together; at most ${MAX_OWNER_BYTES} are allowed. Delete one that you no longer need, or keep large data elsewhere and make its key the secret`,
    );
  }
}
