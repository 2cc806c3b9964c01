import { splitWireName } from '../protocol/names.ts';
import type { DamagedSecret } from '../vault/vault.ts';

/** Tells an owner of secrets that are left out of an answer because they are damaged; nothing when there are none. */
export function damagedRemark(damaged: readonly DamagedSecret[]): string {
  if (damaged.length === 0) return '';
  const which = damaged.map(({ id, name, version, size, createdAt, updatedAt, reason }) => {
    const shown = name === null ? 'one whose name does not open' : `"${splitWireName(name).name}"`;
    const times = `made ${isoTime(createdAt)}, last set ${isoTime(updatedAt)}`;
    return `${shown} (id ${id}, version ${version}, ${size} bytes, ${times}): ${reason}`;
  });
  const count = damaged.length === 1 ? '1 of your secrets is' : `${damaged.length} of your secrets are`;
  return (
    `${count} damaged in the server's database and left out here. A job that asks for all your secrets fails. ` +
    `The server's operator may have a backup; "pbook delete_secret id=ID" deletes a damaged secret, and you can set it anew. ` +
    which.join('; ')
  );
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
