import type { OwnerId } from '../protocol/ids.ts';
import { findOwner } from '../store/owners.ts';
import type { Store } from '../store/store.ts';
import { type Account, existingAccount } from './accounts.ts';
import { EMBEDDED_ISSUER_ID } from './caller.ts';
import { existingOutsideUser, parseOutsideName } from './outside-users.ts';

/** A user as a command names them. */
export interface NamedUser {
  issuer: string;
  subject: string;
  /** Where they have one here. */
  account?: Account;
  /** Of what they keep; undefined for an account that nobody used yet. */
  owner?: OwnerId;
}

/** The user whose account has this name, or of another issuer whose name is `ISSUER#SUBJECT`. @throws {NotFound} */
export async function existingUser(store: Store, name: string): Promise<NamedUser> {
  const outside = parseOutsideName(name);
  if (outside) {
    const { issuer, subject, ownerId } = await existingOutsideUser(store, outside);
    return { issuer, subject, owner: ownerId as OwnerId };
  }
  const account = await existingAccount(store, name);
  const { subject } = account;
  const owner = await findOwner(store.db, EMBEDDED_ISSUER_ID, subject);
  return { issuer: EMBEDDED_ISSUER_ID, subject, account, ...(owner && { owner: owner.id as OwnerId }) };
}
