import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import * as rows from '../../store/provider-records.ts';
import type { Store } from '../../store/store.ts';
import type { OwnRecords } from '../own-records.ts';
import { openRecord, sealRecord } from './sealed-record.ts';

/**
 * Where the OpenID provider keeps its records: one object for each kind (`RefreshToken`, `Session`, ...). All of a record is under
 * the installation key, bound to its row; the ids, which are what clients and browsers prove themselves with, and the codes that
 * people type are kept as keyed hashes. So nothing that stands there is a login for its reader, and nobody else makes a record.
 * `clock` is in milliseconds.
 */
export function createAdapters({
  store,
  records,
  clock,
}: {
  store: Store;
  records: OwnRecords;
  clock: () => number;
}): (model: string) => Adapter {
  const { hash } = records;

  function payloadOf(row: rows.ProviderRecord | undefined): AdapterPayload | undefined {
    if (!row) return undefined;
    const payload = JSON.parse(openRecord(records, row)) as AdapterPayload;
    return { ...payload, ...(row.consumed_at !== null && { consumed: Math.floor(row.consumed_at / 1000) }) };
  }

  return (model) => {
    const hashOf = (text: string | undefined) => (text === undefined ? null : hash(text));
    const find = async (column: 'id_hash' | 'uid' | 'user_code', text: string) =>
      payloadOf(await rows.findProviderRecord(store.db, model, column, hash(text)));
    return {
      async upsert(id, payload, expiresIn) {
        const place = {
          model,
          id_hash: hash(id),
          subject: payload.accountId ?? null,
          grant_id: hashOf(payload.grantId),
          user_code: hashOf(payload.userCode),
          uid: hashOf(payload.uid),
          expires_at: expiresIn ? clock() + expiresIn * 1000 : null,
        };
        const record = { ...place, payload: sealRecord(records, place, JSON.stringify(payload)) };
        await store.write((tx) => rows.upsertProviderRecord(tx, record));
      },
      find: (id) => find('id_hash', id),
      findByUid: (uid) => find('uid', uid),
      findByUserCode: (userCode) => find('user_code', userCode),
      async consume(id) {
        const first = await store.write((tx) => rows.consumeProviderRecord(tx, model, hash(id), clock()));
        if (!first) throw new errors.InvalidGrant('it was used already, at the same moment');
      },
      async destroy(id) {
        await store.write((tx) => rows.deleteProviderRecord(tx, model, hash(id)));
      },
      async revokeByGrantId(grantId) {
        await store.write((tx) => rows.deleteProviderRecordsOfGrant(tx, model, hash(grantId)));
      },
    };
  };
}
