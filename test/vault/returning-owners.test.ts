import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { createReturningOwners } from '../../src/vault/returning-owners.ts';

const owners = (count: number) => Array.from({ length: count }, () => randomUUID() as OwnerId);
const share = (answers: readonly boolean[]) => answers.filter(Boolean).length / answers.length;

test('owners of a site who come again are told from those who come for the first time', () => {
  const isReturning = createReturningOwners();
  const some = owners(1000);
  assert.ok(share(some.map(isReturning)) < 0.01);
  assert.ok(share(some.map(isReturning)) > 0.8);
});

test('a look at more owners than a server remembers leaves none to be remembered', () => {
  const isReturning = createReturningOwners();
  const many = owners(100_000);
  for (let round = 0; round < 2; round++) assert.ok(share(many.map(isReturning)) < 0.02);
});
