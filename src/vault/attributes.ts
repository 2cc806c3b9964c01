import type { WireName } from '../protocol/names.ts';
import { ATTRIBUTE_NAMES, type AttributeChange, type Attributes, attributesOf } from '../protocol/secret-attributes.ts';
import type { DataKey } from '../sealing/data-key.ts';
import { openName, openValue, sealName, sealValue } from '../sealing/value-format.ts';
import { listVersionBoxes, updateVersionBox } from '../store/secret-versions.ts';
import { type SecretRow, updateName } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

/**
 * Decides what a secret carries that is set anew: what the change names and, for the rest, what it carries already. The row is
 * believed only when the secret's name opens with it: otherwise a writer of the database could change it and wait for the next
 * value. The name is sealed anew where it tells another kind than before.
 *
 * @returns the attributes as the row has them from now on
 * @throws {DecryptionFailed} when the row was changed behind the vault
 */
export async function bindAttributes(
  tx: Database,
  dataKey: DataKey,
  found: SecretRow,
  name: WireName,
  change: AttributeChange,
): Promise<Attributes> {
  const nameHash = found.name_hash;
  const before = attributesOf(found);
  const nameBefore = openName(dataKey, { nameHash, attributes: before }, found.name_ciphertext);
  const attributes = { ...before, ...change };
  const stays = ATTRIBUTE_NAMES.every((one) => attributes[one] === before[one]);
  if (stays && name === nameBefore) return before;

  const nameCiphertext = sealName(dataKey, { nameHash, attributes }, name);
  await updateName(tx, { id: found.id, attributes, nameCiphertext });
  if (stays) return before;
  // An earlier version can be restored: what holds for the secret holds for it as well.
  for (const { version, ciphertext } of await listVersionBoxes(tx, found.id)) {
    const secret = openValue(dataKey, { nameHash, version, attributes: before }, ciphertext);
    const bound = sealValue(dataKey, { nameHash, version, attributes }, secret);
    await updateVersionBox(tx, { secretId: found.id, version, ciphertext: bound });
  }
  return attributes;
}
