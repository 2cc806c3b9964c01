import { LRUCache } from 'lru-cache';
import { MAX_REMEMBERED_USES, USE_NOTED_SECONDS } from '../protocol/limits.ts';
import { noteUses } from '../store/secret-expiry.ts';
import type { Database } from '../store/store.ts';

/** The use of some secrets by a job, to be noted with its delivery. */
export interface Use {
  /** In the delivery's transaction, behind what locks the owner: a change of a secret locks the owner first as well. */
  note(tx: Database): Promise<void>;
  /** After it. */
  noted(): void;
}

/** When jobs last got each secret, to `USE_NOTED_SECONDS`: a use that this server noted it does not write again until then. */
export function createLastUses(): (secretIds: readonly string[], now: number) => Use {
  const last = new LRUCache<string, number>({ max: MAX_REMEMBERED_USES });
  return (secretIds, now) => {
    const ids = secretIds.filter((id) => Math.abs(now - (last.get(id) ?? 0)) >= USE_NOTED_SECONDS * 1000).sort();
    return {
      async note(tx) {
        if (ids.length > 0) await noteUses(tx, { ids, now });
      },
      noted() {
        for (const id of ids) last.set(id, now);
      },
    };
  };
}
