import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { KEPT_VERSIONS } from '../../src/protocol/limits.ts';
import type { SecretKind } from '../../src/protocol/names.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { sqliteDatabase } from '../stores.ts';
import { named, openVault, revealed } from './vaults.ts';

const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.constantFrom('', '\0', '"', "'", '$(rm -rf /)', '`id`', '\\', '\r\n', '😀', '\u2028', '\ufeff', '\uffff', 'null'),
);

test('every string of Unicode comes back as it was', async (t) => {
  const { vault, newOwner, anotherServer } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  const other = await anotherServer();
  await fc.assert(
    fc.asyncProperty(value, async (text) => {
      await vault.set(owner, named('A'), text);
      for (const one of [vault, other]) assert.equal(revealed(await one.get(owner))['A'], text);
    }),
  );
});

test('every name that is allowed is found, listed and deleted by its very letters', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter(isName);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), async (names) => {
      for (const one of names) await vault.set(owner, named(one), `value of ${one}`);
      const sorted = [...names].sort((a, b) => (a < b ? -1 : 1));
      assert.deepEqual(
        (await vault.list(owner)).secrets.map((info) => info.name),
        sorted,
      );
      for (const one of names) {
        const found = await vault.get(owner, [named(one)]);
        assert.deepEqual(
          found.map((secret) => [secret.name, secret.value.reveal()]),
          [[one, `value of ${one}`]],
        );
      }
      for (const one of names) assert.equal(await vault.delete(owner, named(one)), true);
      assert.deepEqual(await vault.get(owner), []);
    }),
    { numRuns: 50 },
  );
});

function isName(text: string): boolean {
  try {
    return named(text) !== '';
  } catch {
    return false;
  }
}

/** The contents that a vault should have: the values of each name with their kinds, the oldest first. */
type Model = { versions: Map<string, { last: number; values: { kind: SecretKind; text: string }[] }> };
/** The vault, and the same one through another server. */
type Real = { owner: OwnerId; vaults: Vault[] };
type Command = fc.AsyncCommand<Model, Real>;

const anyName = fc.constantFrom<string[]>('A', 'B', 'C');
const anyKind = fc.constantFrom<SecretKind[]>('string', 'file');
const anyWireName = fc.tuple(anyName, anyKind).map(([name, kind]) => named(name, kind));
const anyServer = fc.constantFrom(0, 1);

function command(
  label: string,
  run: (model: Model, real: { owner: OwnerId; vault: Vault }) => Promise<void>,
  server: number,
): Command {
  return {
    check: () => true,
    toString: () => `${label} on server ${server}`,
    run: (model, { owner, vaults }) => run(model, { owner, vault: vaults[server] as Vault }),
  };
}

const commands = [
  fc.tuple(anyName, anyKind, value, anyServer).map(([name, kind, text, server]) =>
    command(
      `set ${kind} ${name}`,
      async ({ versions }, { owner, vault }) => {
        const { version } = await vault.set(owner, named(name, kind), text);
        const known = versions.get(name) ?? { last: 0, values: [] };
        assert.equal(version, known.last + 1);
        versions.set(name, { last: version, values: [...known.values, { kind, text }].slice(-KEPT_VERSIONS) });
      },
      server,
    ),
  ),
  fc.tuple(anyName, anyKind, anyServer).map(([name, kind, server]) =>
    command(
      `delete ${name}`,
      async ({ versions }, { owner, vault }) => {
        assert.equal(await vault.delete(owner, named(name, kind)), versions.delete(name));
      },
      server,
    ),
  ),
  fc.tuple(anyName, anyKind, fc.nat(KEPT_VERSIONS - 1), anyServer).map(([name, kind, back, server]) =>
    command(
      `restore ${name}, ${back} back`,
      async ({ versions }, { owner, vault }) => {
        const known = versions.get(name);
        const earlier = known?.values.at(-1 - back);
        const restored = vault.restore(owner, named(name, kind), (known?.last ?? 0) - back);
        if (!known || earlier === undefined) return assert.rejects(restored, { code: 'ERR_NOT_FOUND' });
        assert.deepEqual(await restored, { version: known.last + 1 });
        versions.set(name, { last: known.last + 1, values: [...known.values, earlier].slice(-KEPT_VERSIONS) });
      },
      server,
    ),
  ),
  anyServer.map((server) =>
    command(
      'delete all',
      async ({ versions }, { owner, vault }) => {
        assert.equal(await vault.deleteAll(owner), versions.size);
        versions.clear();
      },
      server,
    ),
  ),
  fc.tuple(fc.option(fc.uniqueArray(anyWireName), { nil: undefined }), anyServer).map(([names, server]) =>
    command(
      `get ${names ?? 'all'}`,
      async ({ versions }, { owner, vault }) => {
        const expected = [...versions]
          .map(([name, { values }]) => [named(name, values.at(-1)?.kind), values.at(-1)?.text] as const)
          .filter(([name]) => names?.includes(name) ?? true);
        const got = await vault.get(owner, names);
        assert.deepEqual(revealed(got), Object.fromEntries(expected));
      },
      server,
    ),
  ),
];

test('a vault behaves as a map of names to values, through whichever server', async (t) => {
  const { vault, newOwner, anotherServer } = await openVault(t, sqliteDatabase(t));
  const vaults = [vault, await anotherServer()];
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40 }), async (sequence) => {
      const owner = await newOwner();
      await fc.asyncModelRun(() => ({ model: { versions: new Map() }, real: { owner, vaults } }), sequence);
    }),
    { numRuns: 60 },
  );
});
