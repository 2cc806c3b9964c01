import { DecryptionFailed, Tampered } from '../../protocol/errors.ts';
import type * as rows from '../../store/provider-records.ts';
import type { OwnRecords } from '../own-records.ts';

type Place = Omit<rows.ProviderRecord, 'payload' | 'consumed_at'>;

/** A record's payload, encrypted and bound to its row. */
export function sealRecord(key: OwnRecords, place: Place, payload: string): string {
  return key.seal(fieldsOf(place), payload).toString('base64');
}

/** @throws {Tampered} */
export function openRecord(key: OwnRecords, row: rows.ProviderRecord): string {
  try {
    return key.open(fieldsOf(row), Buffer.from(row.payload, 'base64'), 'the record of a login');
  } catch (error) {
    if (error instanceof DecryptionFailed) throw new Tampered('provider_records', `${row.model} ${row.id_hash}`);
    throw error;
  }
}

/** All of the row but that it was used, which is noted where it stands. */
function fieldsOf({ model, id_hash, subject, grant_id, user_code, uid, expires_at }: Place): string[] {
  const fields = [id_hash, subject, grant_id, user_code, uid, expires_at];
  return ['provider record', model, ...fields.map((field) => JSON.stringify(field))];
}
