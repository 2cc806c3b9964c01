import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { appendAudit, SYSTEM } from '../../src/audit/audit.ts';
import { readAuditHeads } from '../../src/store/site-counts.ts';
import { eachStore } from '../stores.ts';
import { openVault } from '../vault/vaults.ts';

/** More than are read in one statement. */
const OWNERS = 1010;

eachStore('heads of the audit of many owners are read a part at a time, and none twice', async (t, database) => {
  const { store, newOwner } = await openVault(t, database, {});
  const { db } = store;
  assert.deepEqual(await readAuditHeads(db), { entries: 0, newest: undefined });
  const owners = await Promise.all(Array.from({ length: OWNERS }, newOwner));
  await store.write(async (tx) => {
    for (const [n, owner] of owners.entries()) await appendAudit(tx, () => n, owner, 'owner', 'secret.set', {});
    for (let n = 0; n < 3; n++) await appendAudit(tx, () => 5, SYSTEM, 'server', 'audit.cut', {});
  });
  const whole = { entries: OWNERS + 3, newest: OWNERS - 1 };
  const reading = readAuditHeads(db);
  // By now SQLite has answered with the first part.
  await setImmediate();
  const [erased = ''] = owners.toSorted();
  await store.write(async (tx) => {
    const head = tx.selectFrom('owners').select(['id', 'audit_seq', 'audit_hash']).where('id', '=', erased);
    await tx.insertInto('audit_heads').columns(['chain', 'audit_seq', 'audit_hash']).expression(head).execute();
    await tx.deleteFrom('owners').where('id', '=', erased).execute();
  });
  assert.deepEqual(await reading, whole);
  assert.deepEqual(await readAuditHeads(db), whole);
});
