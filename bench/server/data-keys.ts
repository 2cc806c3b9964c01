import { type DataKey, dataKeyContext, importDataKey } from '../../src/sealing/data-key.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';

/** The rows of every owner's active data key. */
export const ACTIVE_KEYS = 'select id, owner_id, root_key_id, wrapped from data_keys where active = 1';

/** The active data key of every owner, by the owner's id. @param rows of {@link ACTIVE_KEYS} */
export async function unwrapAll(
  rows: readonly Record<string, unknown>[],
  rootKeyFile: string,
): Promise<Map<string, DataKey>> {
  const rootKeys = await openKeyFile(rootKeyFile, { create: false });
  const unwrapped = rows.map(async (row) => {
    const key = { id: row['id'] as string, ownerId: row['owner_id'] as string };
    const rootKey = rootKeys.get(row['root_key_id'] as string);
    const bytes = await rootKey.unwrap(row['wrapped'] as Uint8Array, dataKeyContext(key));
    return [key.ownerId, importDataKey({ ...key, bytes })] as const;
  });
  return new Map(await Promise.all(unwrapped));
}
