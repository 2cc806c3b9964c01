import { Conflict, DecryptionFailed, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { openValue } from '../sealing/value-format.ts';
import type { SealedSecret } from './current-secrets.ts';
import type { Reading } from './owners.ts';

/** Secrets as they stood in the database: ciphertext alone. */
export interface Sample {
  secrets: number;
  sealed: readonly SealedSecret[];
}

/** The most that are tried: all have one key. */
const MAX_TRIED = 100;

/** @returns nothing of an owner whose data key is gone already */
export async function takeSample({ current }: Reading, owner: OwnerId): Promise<Sample> {
  try {
    const sealed = await current.of(owner);
    return { secrets: sealed.length, sealed: sealed.slice(0, MAX_TRIED) };
  } catch (error) {
    // Damaged, or half erased.
    if (error instanceof DecryptionFailed) return { secrets: 0, sealed: [] };
    throw error;
  }
}

/** With the keys that the database has now. */
export async function tryInVain({ dataKeys }: Reading, owner: OwnerId, { sealed }: Sample): Promise<number> {
  for (const { dataKeyId, nameHash, version, attributes, ciphertext } of sealed) {
    try {
      openValue(
        await dataKeys.get(owner, dataKeyId),
        { nameHash, version, attributes },
        ciphertext ?? new Uint8Array(),
      );
    } catch (error) {
      if (error instanceof DecryptionFailed || error instanceof NotFound) continue;
      throw error;
    }
    throw new Conflict('a secret of the erased user still opens: its data key is in the database');
  }
  return sealed.length;
}
