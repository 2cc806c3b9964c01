// `npm run bench:keys -- [OWNERS] [URI...]`: keys wrapped anew a second, under a root key in each place, and users with new data keys a second.
// The database is SQLite in a temporary folder, or the PostgreSQL that PANDA_SECRETS_DATABASE names, which has to be empty.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { OwnerId } from '../src/protocol/ids.ts';
import { wireName } from '../src/protocol/names.ts';
import { openInstallation } from '../src/site/installation.ts';
import { createRootKeyAdministration } from '../src/site/keys.ts';
import { upsertOwner } from '../src/store/owners.ts';
import { createVault } from '../src/vault/vault.ts';

const SECRETS = 10;
const VALUE = 'x'.repeat(1024);

const [count = '1000', ...places] = process.argv.slice(2);
const owners = Number(count);
const data = mkdtempSync(join(tmpdir(), 'bench-keys-'));
const database = process.env['PANDA_SECRETS_DATABASE'];
const settings = { data, ...(database !== undefined && { database }) };
const installation = await openInstallation(settings, { create: true, clock: Date.now });
const { store, rootKeys } = installation;
const keys = createRootKeyAdministration(installation, { clock: Date.now });
const vault = createVault({ store, rootKeys, clock: Date.now });

for (let n = 0; n < owners; n++) {
  const owner = { id: randomUUID(), issuer: 'bench', subject: String(n), display_name: '', created_at: 0 };
  const id = (await store.write((tx) => upsertOwner(tx, owner))) as OwnerId;
  await Promise.all(Array.from({ length: SECRETS }, (_, k) => vault.set(id, wireName(`S${k}`, 'string'), VALUE)));
}
for (const place of [pathToFileURL(join(data, 'newer')).href, ...places]) {
  await keys.activate(await keys.add(place));
  const began = performance.now();
  const { count: wrapped } = await keys.rewrap(() => {});
  const seconds = (performance.now() - began) / 1000;
  console.log(`${place.split(':')[0]}: ${wrapped} keys wrapped anew, ${Math.round(wrapped / seconds)} a second`);
}
const began = performance.now();
const done = await keys.rotateOwners(Date.now() + 1, () => {});
const seconds = (performance.now() - began) / 1000;
console.log(
  `${done.owners} users with ${SECRETS} secrets of 1 kB: ${Math.round(done.owners / seconds)} new data keys a second`,
);
vault.close();
await installation.close();
rmSync(data, { recursive: true });
