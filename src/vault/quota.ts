import { QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { sumSecrets } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

/** What one owner may keep: secrets, and bytes of their current values. */
export interface SecretLimits {
  secrets: number;
  bytes: number;
}

/**
 * Checks that an owner may keep so much more; less is always allowed. Under the owner's lock.
 *
 * @param change `added`: secrets; `grown`: bytes of values
 * @throws {QuotaExceeded} beyond one of `limits`
 */
export async function checkQuota(
  tx: Database,
  ownerId: OwnerId,
  { added, grown }: { added: number; grown: number },
  { secrets, bytes: most }: SecretLimits,
): Promise<void> {
  if (added <= 0 && grown <= 0) return;
  const [kept] = await sumSecrets(tx, { ownerId });
  const count = (kept?.count ?? 0) + added;
  const bytes = (kept?.bytes ?? 0) + grown;
  if (count > secrets) {
    throw new QuotaExceeded(
      `you keep ${kept?.count ?? 0} secrets, and may keep ${secrets} ("pbook quota"): delete one that you no longer need first`,
    );
  }
  if (bytes > most) {
    throw new QuotaExceeded(
      `with this value your secrets would have ${bytes} bytes together; at most ${most} are allowed. Delete one that you no longer need, or keep large data elsewhere and make its key the secret`,
    );
  }
}
