import assert from 'node:assert/strict';
import { addAccount } from '../../src/identity/accounts.ts';
import { trustExternalIssuer } from '../../src/identity/external-issuer.ts';
import {
  blockOutsideUser,
  findOutsideUser,
  formatOutsideName,
  listOutsideUsers,
  logOutOutsideUser,
  parseOutsideName,
} from '../../src/identity/outside-users.ts';
import { createOwners } from '../../src/identity/owners.ts';
import { createTokenVerifier } from '../../src/identity/tokens.ts';
import { NotFound } from '../../src/protocol/errors.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { createSigner, NOW, SECONDS } from './signer.ts';

/** A server that takes tokens of a site's issuer, at a time that the test sets, and dora, who called it. */
async function withOutsideUser(database: TestDatabase) {
  const store = await database.open();
  const state = { now: NOW };
  const clock = () => state.now;
  const { trusted, sign } = await createSigner();
  const { asOfNow } = trustExternalIssuer(
    { issuer: trusted.issuer, audience: ['panda'] },
    { clock, findUser: (name) => findOutsideUser(store, name) },
  );
  assert.ok(asOfNow);
  const { verify } = createTokenVerifier({ issuers: [{ ...trusted, asOfNow }], clock });
  const token = (sub: string, iat = Math.floor(state.now / 1000)) => sign({ sub, iat, name: sub, exp: SECONDS + 3600 });
  const owners = createOwners({ store, clock });
  for (const sub of ['dora', 'emil']) await owners.of(await verify(await token(sub)));
  const { subject } = await addAccount(store, clock, 'alice');
  await owners.of({ issuer: 'embedded', subject, displayName: 'Alice' });
  const dora = { issuer: trusted.issuer, subject: 'dora' };
  return Object.assign(state, { store, clock, verify, token, dora });
}

eachStore('users of other issuers are listed, and those alone', async (_t, database) => {
  const { store, dora } = await withOutsideUser(database);
  const users = await listOutsideUsers(store);
  assert.deepEqual(
    users.map(({ subject, displayName, blocked }) => [subject, displayName, blocked]),
    [
      ['dora', 'dora', false],
      ['emil', 'emil', false],
    ],
  );
  assert.deepEqual(parseOutsideName(formatOutsideName(dora)), dora);
  assert.equal(parseOutsideName('alice'), undefined);
});

eachStore(
  'one who was stopped is refused within 30 seconds, until let in again, with new tokens',
  async (_t, database) => {
    const site = await withOutsideUser(database);
    const { store, clock, verify, token, dora } = site;
    const [before, another] = [await token('dora'), await token('emil')];
    await verify(before);
    site.now += 1000;
    await blockOutsideUser(store, clock, dora);
    site.now += 30_000;
    await assert.rejects(verify(before), /was disabled or removed/);
    await assert.rejects(verify(await token('dora')), /was disabled or removed/);
    await verify(another);
    await blockOutsideUser(store, clock, dora, false);
    await assert.rejects(verify(before), /^Unauthenticated: the token is void/);
    await verify(await token('dora'));
    await assert.rejects(blockOutsideUser(store, clock, { ...dora, subject: 'nobody' }), NotFound);
  },
);

eachStore('one who was logged out needs a new token', async (_t, database) => {
  const site = await withOutsideUser(database);
  const { store, clock, verify, token, dora } = site;
  const before = await token('dora');
  await verify(before);
  site.now += 1000;
  await logOutOutsideUser(store, clock, dora);
  await verify(await token('dora'));
  site.now += 30_000;
  await assert.rejects(verify(before), /^Unauthenticated: the token is void/);
});
