import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import * as rows from '../../store/provider-records.ts';
import type { Store } from '../../store/store.ts';
import { hashToken } from '../hashed-token.ts';

/**
 * Where the OpenID provider keeps its records: one object for each kind (`RefreshToken`, `Session`, ...). The ids, which are
 * what clients and browsers prove themselves with, are kept as hashes. `clock` is in milliseconds.
 */
export function createAdapters({ store, clock }: { store: Store; clock: () => number }): (model: string) => Adapter {
  return (model) => ({
    async upsert(id, payload, expiresIn) {
      const record = {
        model,
        id_hash: hashToken(id),
        payload: JSON.stringify(keepsId(model) ? payload : { ...payload, jti: undefined }),
        subject: payload.accountId ?? null,
        grant_id: payload.grantId ?? null,
        user_code: payload.userCode ?? null,
        uid: payload.uid ?? null,
        expires_at: expiresIn ? clock() + expiresIn * 1000 : null,
      };
      await store.write((tx) => rows.upsertProviderRecord(tx, record));
    },
    async find(id) {
      return payloadOf(await rows.findProviderRecord(store.db, model, hashToken(id)), id);
    },
    async findByUid(uid) {
      return payloadOf(await rows.findProviderRecordBy(store.db, model, 'uid', uid));
    },
    async findByUserCode(userCode) {
      return payloadOf(await rows.findProviderRecordBy(store.db, model, 'user_code', userCode));
    },
    async consume(id) {
      const first = await store.write((tx) => rows.consumeProviderRecord(tx, model, hashToken(id), clock()));
      if (!first) throw new errors.InvalidGrant('it was used already, at the same moment');
    },
    async destroy(id) {
      await store.write((tx) => rows.deleteProviderRecord(tx, model, hashToken(id)));
    },
    async revokeByGrantId(grantId) {
      await store.write((tx) => rows.deleteProviderRecordsOfGrant(tx, model, grantId));
    },
  });
}

/** A device's code is found by what the person types, and then saved under its id. It lives for minutes. */
function keepsId(model: string): boolean {
  return model === 'DeviceCode';
}

function payloadOf(row: rows.ProviderRecord | undefined, id?: string): AdapterPayload | undefined {
  if (!row) return undefined;
  const payload = JSON.parse(row.payload) as AdapterPayload;
  return {
    ...payload,
    ...(id !== undefined && { jti: id }),
    ...(row.consumed_at !== null && { consumed: Math.floor(row.consumed_at / 1000) }),
  };
}
