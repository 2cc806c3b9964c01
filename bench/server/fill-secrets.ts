import type { WireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { NO_ATTRIBUTES } from '../../src/protocol/secret-attributes.ts';
import { type DataKey, hashName, secretIdOf } from '../../src/sealing/data-key.ts';
import { sealName, sealValue } from '../../src/sealing/value-format.ts';
import { insertVersion } from '../../src/store/secret-versions.ts';
import { insertSecret } from '../../src/store/secrets.ts';
import type { Database } from '../../src/store/store.ts';

/** The rows of an owner's secrets as sets would leave them, without their entries in the audit: a site of a million is made in minutes. */
export async function insertSecrets(
  tx: Database,
  dataKey: DataKey,
  secrets: readonly { name: WireName; value: string }[],
  now: number,
): Promise<void> {
  for (const { name, value } of secrets) {
    const nameHash = hashName(dataKey, name);
    const id = secretIdOf(nameHash);
    const row = { ownerId: dataKey.ownerId, dataKeyId: dataKey.id, size: Buffer.byteLength(value), now };
    const nameCiphertext = sealName(dataKey, { nameHash, attributes: NO_ATTRIBUTES }, name);
    await insertSecret(tx, { ...row, id, nameHash, nameCiphertext, attributes: NO_ATTRIBUTES, sealed: 0 });
    const place = { nameHash, version: 1, attributes: NO_ATTRIBUTES };
    const ciphertext = sealValue(dataKey, place, { name, value: new Plaintext(value) });
    await insertVersion(tx, { ...row, secretId: id, version: 1, ciphertext });
  }
}
