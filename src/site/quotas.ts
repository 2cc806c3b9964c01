import { usedRoom } from '../jobs/file-room.ts';
import type { ListedQuota } from '../protocol/calls/system.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { OWNER_FILES_DAYS } from '../protocol/limits.ts';
import type { Vault } from '../vault/vault.ts';

/** How much an owner has of all that is limited, room by room. */
export async function quotasOf(
  vault: Pick<Vault, 'usage'>,
  room: Parameters<typeof usedRoom>[0],
  owner: OwnerId,
): Promise<ListedQuota[]> {
  const [{ used, limits }, files] = await Promise.all([vault.usage(owner), usedRoom(room, owner)]);
  return [
    { what: 'secrets', used: used.secrets, allowed: limits.secrets, days: null },
    { what: 'secret_bytes', used: used.bytes, allowed: limits.bytes, days: null },
    { what: 'open_jobs', used: files.openJobs, allowed: files.maxOpenJobs, days: null },
    { what: 'file_bytes', used: files.fileBytes, allowed: files.maxFileBytes, days: OWNER_FILES_DAYS },
  ];
}
