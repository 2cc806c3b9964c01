import type { DatabaseSync } from 'node:sqlite';
import { type DataKey, dataKeyContext, importDataKey } from '../../src/sealing/data-key.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';

/** The active data key of every owner, by the owner's id. */
export async function unwrapAll(database: DatabaseSync, rootKeyFile: string): Promise<Map<string, DataKey>> {
  const rootKeys = await openKeyFile(rootKeyFile, { create: false });
  const rows = database.prepare('select id, owner_id, root_key_id, wrapped from data_keys where active = 1').all();
  const unwrapped = rows.map(async (row) => {
    const key = { id: row['id'] as string, ownerId: row['owner_id'] as string };
    const rootKey = rootKeys.get(row['root_key_id'] as string);
    const bytes = await rootKey.unwrap(row['wrapped'] as Uint8Array, dataKeyContext(key));
    return [key.ownerId, importDataKey({ ...key, bytes })] as const;
  });
  return new Map(await Promise.all(unwrapped));
}
