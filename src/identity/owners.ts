import { randomUUID } from 'node:crypto';
import { Unauthenticated } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { ACCOUNT_RECHECK_SECONDS, MAX_REMEMBERED_OWNERS } from '../protocol/limits.ts';
import { findAccountBySubject } from '../store/accounts.ts';
import { findOwner, upsertOwner } from '../store/owners.ts';
import { ReturningCache } from '../store/returning.ts';
import type { Store } from '../store/store.ts';
import { type Caller, EMBEDDED_ISSUER_ID } from './caller.ts';

export interface Owners {
  /**
   * The owner that a caller is: found by issuer and subject, made at the first call. The display name is kept for show and
   * follows the token's. Safe with any number of servers on one database.
   */
  of(caller: Pick<Caller, 'issuer' | 'subject' | 'displayName'>): Promise<OwnerId>;
}

/** `clock` is in milliseconds. */
export function createOwners({ store, clock }: { store: Store; clock: () => number }): Owners {
  /** Promises, so that calls that arrive together share one search. */
  const remembered = new ReturningCache<Promise<OwnerId>>({
    max: MAX_REMEMBERED_OWNERS,
    // One who was erased, and comes again, is another owner.
    ttl: ACCOUNT_RECHECK_SECONDS * 1000,
    perf: { now: clock },
  });

  async function findOrMake({ issuer, subject, displayName }: Parameters<Owners['of']>[0]): Promise<OwnerId> {
    const found = await findOwner(store.db, issuer, subject);
    if (found?.display_name === displayName) return found.id as OwnerId;
    const owner = {
      id: randomUUID(),
      issuer,
      subject,
      display_name: displayName,
      created_at: clock(),
    };
    return store.write(async (tx) => {
      // Tokens are taken for a while after their account was erased: nothing begins anew by them.
      if (issuer === EMBEDDED_ISSUER_ID && (await findAccountBySubject(tx, subject))?.disabled !== 0) {
        throw new Unauthenticated('there is no such account any more');
      }
      return (await upsertOwner(tx, owner)) as OwnerId;
    });
  }

  return {
    of(caller) {
      const key = JSON.stringify([caller.issuer, caller.subject]);
      const known = remembered.get(key);
      if (known) return known;
      const found = findOrMake(caller);
      remembered.set(key, found);
      found.catch(() => remembered.delete(key));
      return found;
    },
  };
}
