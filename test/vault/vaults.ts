import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { type SecretKind, type WireName, wireName } from '../../src/protocol/names.ts';
import { ARMOR_BEGIN, SEALED_STANZA } from '../../src/protocol/sealed-value.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import type { Store } from '../../src/store/store.ts';
import type { JobSecrets } from '../../src/vault/job-secrets.ts';
import {
  createVault,
  type DamagedSecret,
  type OpenedSecret,
  type ReadableSecrets,
  type Vault,
  type VaultDependencies,
} from '../../src/vault/vault.ts';
import type { TestDatabase } from '../stores.ts';

/** A vault on an empty database, and what a test does around it. */
export async function openVault(t: TestContext, database: TestDatabase, options: Partial<VaultDependencies> = {}) {
  const store = await database.open();
  const rootKeys = await openKeyFile(join(database.folder, 'root-keys'), { create: true });
  const clock = options.clock ?? Date.now;

  function vaultOn(shared: Store): Vault {
    const vault = createVault({ rootKeys, clock, ...options, store: shared });
    t.after(() => vault.close());
    return vault;
  }

  return {
    store,
    rootKeys,
    clock,
    vault: vaultOn(store),
    /** A vault of another server on the same database. */
    anotherServer: async () => vaultOn(await database.open()),
    newOwner: () => newOwner(store),
  };
}

export async function newOwner(store: Store): Promise<OwnerId> {
  const id = randomUUID();
  const owner = { id, issuer: 'https://issuer.test', subject: id, display_name: 'Ada Doe', created_at: 0 };
  await store.write((tx) => tx.insertInto('owners').values(owner).execute());
  return id as OwnerId;
}

/** A sealed value, as far as the vault looks at one. */
export const sealedText = (body: string) =>
  `${ARMOR_BEGIN}\n${Buffer.from(`age-encryption.org/v1\n-> ${SEALED_STANZA}`).toString('base64')}\n${body}\n`;

export const named = (name: string, kind: SecretKind = 'string'): WireName => wireName(name, kind);

/** All that opens of an owner's secrets, and the damaged ones, by way of the text that a server answers. */
export async function readable(
  vault: Vault,
  owner: OwnerId,
): Promise<{ values: Record<string, string>; damaged: DamagedSecret[] }> {
  return JSON.parse((await vault.readableText(owner, writeReadable)).toString());
}

function writeReadable({ secrets, damaged }: ReadableSecrets): string {
  return JSON.stringify({ values: revealed(secrets), damaged });
}

/** Name -> value, as a job finds them. */
export function valuesOf({ text }: JobSecrets): Record<string, string> {
  return JSON.parse(text.toString());
}

/** Name -> value, in the order of the answer. */
export function revealed(secrets: readonly OpenedSecret[]): Record<string, string> {
  return Object.fromEntries(secrets.map(({ name, value }) => [name, value.reveal()]));
}
