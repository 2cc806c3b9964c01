import type { WireName } from '../protocol/names.ts';
import { parseTrustedQueues, type TrustedQueues } from '../protocol/trusted-queues.ts';
import type { DataKey } from '../sealing/data-key.ts';
import { openName, openValue, sealName, sealValue } from '../sealing/value-format.ts';
import { listVersionBoxes, updateVersionBox } from '../store/secret-versions.ts';
import { type FoundSecret, updateQueues } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

/** The queues as they stand in a secret's row, and as every ciphertext of the secret is bound to them. */
export function queuesText(queues: TrustedQueues): string | null {
  return (queues && parseTrustedQueues(queues)?.join(',')) || null;
}

export function queuesOf(text: string | null): TrustedQueues {
  return text === null ? null : text.split(',');
}

/**
 * Decides where a secret that is set anew may go: to the queues that its owner names or, when none are named, to those it may
 * go to already. What the row says is believed only when the secret's name opens with it: otherwise whoever writes the
 * database could widen it and wait for the next value.
 *
 * @param wanted undefined to leave it as it is
 * @returns the queues as the row says them from now on
 * @throws {DecryptionFailed} when the row was changed behind the vault
 */
export async function bindToQueues(
  tx: Database,
  dataKey: DataKey,
  found: FoundSecret,
  { name, nameHash }: { name: WireName; nameHash: Uint8Array },
  wanted: TrustedQueues | undefined,
): Promise<string | null> {
  const before = found.queues;
  openName(dataKey, { nameHash, queues: before }, found.name_ciphertext);
  const queues = wanted === undefined ? before : queuesText(wanted);
  if (queues === before) return queues;

  await updateQueues(tx, { id: found.id, queues, nameCiphertext: sealName(dataKey, { nameHash, queues }, name) });
  // An earlier version can be restored: what it may be given to changes with the secret.
  for (const { version, ciphertext } of await listVersionBoxes(tx, found.id)) {
    const secret = openValue(dataKey, { nameHash, version, queues: before }, ciphertext);
    const bound = sealValue(dataKey, { nameHash, version, queues }, secret);
    await updateVersionBox(tx, { secretId: found.id, version, ciphertext: bound });
  }
  return queues;
}
