import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type NewProof, proofTaker } from '../../src/identity/taken-proofs.ts';
import { MAX_PROOFS_AT_ONCE, PATIENT_PROOF_MILLISECONDS } from '../../src/protocol/limits.ts';
import { insertPilot } from '../../src/store/pilots.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore } from '../stores.ts';

const proof = (jti: string, change: Partial<NewProof> = {}): NewProof => ({
  pilot_id: 'pilot-1',
  jti,
  expires_at: 1_900_000_000_000,
  seenAt: undefined,
  ...change,
});

/** A server's taker, and how many transactions it made. */
function counted(store: Store) {
  let writes = 0;
  const write: Store['write'] = (...args) => {
    writes += 1;
    return store.write(...args);
  };
  const { take } = proofTaker({ write });
  return { take, writes: () => writes };
}

async function keptProofs(store: Store): Promise<string[]> {
  return (await store.db.selectFrom('pilot_proofs').select('jti').orderBy('jti').execute()).map(({ jti }) => jti);
}

eachStore('proofs that have time are written together, and each is taken once', async (_t, database) => {
  const store = await database.open();
  const { take, writes } = counted(store);
  const answers = await Promise.all(['c', 'a', 'b', 'a', 'c'].map((jti) => take(proof(jti), { hasTime: true })));
  assert.deepEqual([answers, writes()], [[true, true, true, false, false], 1]);
  assert.deepEqual(await keptProofs(store), ['a', 'b', 'c']);
  const again = counted(await database.open());
  assert.deepEqual(
    await Promise.all(['b', 'd'].map((jti) => again.take(proof(jti), { hasTime: true }))),
    [false, true],
    'by another server as well, or after a restart',
  );
  assert.equal(await take(proof('d'), { hasTime: false }), false);
  assert.equal(await take(proof('d', { pilot_id: 'pilot-2' }), { hasTime: false }), true, "another pilot's");
});

eachStore(
  'proofs of two pilots that have the same name are two, also when they are written together',
  async (_t, database) => {
    const store = await database.open();
    const own = [proof('a'), proof('a', { pilot_id: 'pilot-2' })];
    const take = (proofs: NewProof[]) => {
      const taker = counted(store);
      return Promise.all(proofs.map((one) => taker.take(one, { hasTime: true })));
    };
    assert.deepEqual(await take(own), [true, true]);
    assert.deepEqual(await take(own), [false, false], 'neither can be replayed');
  },
);

eachStore('two servers that get the same proofs at the same moment take each once', async (_t, database) => {
  const takers = [counted(await database.open()), counted(await database.open())];
  const names = Array.from({ length: 20 }, (_, n) => `${n}`);
  const answers = await Promise.all(
    takers.map(({ take }, n) =>
      Promise.all((n === 0 ? names : names.toReversed()).map((jti) => take(proof(jti), { hasTime: true }))),
    ),
  );
  const [first = [], second = []] = answers;
  assert.deepEqual(
    first.map((isFirst, n) => [isFirst, second.at(-1 - n)].filter(Boolean).length),
    names.map(() => 1),
  );
});

eachStore('a pilot is noted as seen by a proof that was taken, and by no other', async (_t, database) => {
  const store = await database.open();
  for (const id of ['pilot-1', 'pilot-2', 'pilot-3']) await newPilot(store, id);
  const { take } = counted(store);
  await take(proof('used', { pilot_id: 'pilot-2' }), { hasTime: false });
  await Promise.all([
    take(proof('a', { seenAt: 5 }), { hasTime: true }),
    take(proof('b', { seenAt: 6 }), { hasTime: true }),
    take(proof('used', { pilot_id: 'pilot-2', seenAt: 7 }), { hasTime: true }),
    take(proof('a', { pilot_id: 'pilot-3' }), { hasTime: true }),
  ]);
  const pilots = await store.db.selectFrom('pilots').select(['id', 'seen_at']).orderBy('id').execute();
  assert.deepEqual(
    pilots.map(({ seen_at }) => seen_at),
    [6, 1, 1],
  );
});

test('proofs wait for a moment, for one that has no time or until there are many', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sizes: number[] = [];
  const { take } = proofTaker({
    write: (async () => {
      sizes.push(waiting);
      waiting = 0;
      return new Set();
    }) as unknown as Store['write'],
  });
  let waiting = 0;
  const add = (hasTime: boolean) => {
    waiting += 1;
    void take(proof(`${Math.random()}`), { hasTime });
  };
  add(true);
  add(true);
  t.mock.timers.tick(PATIENT_PROOF_MILLISECONDS - 1);
  assert.deepEqual(sizes, []);
  t.mock.timers.tick(1);
  assert.deepEqual(sizes, [2]);
  add(true);
  add(false);
  assert.deepEqual(sizes, [2, 2], 'at once');
  t.mock.timers.tick(PATIENT_PROOF_MILLISECONDS);
  for (let n = 0; n < MAX_PROOFS_AT_ONCE; n++) add(true);
  assert.deepEqual(sizes, [2, 2, MAX_PROOFS_AT_ONCE]);
});

test('where they cannot be written, none is taken', async () => {
  const { take } = proofTaker({ write: () => Promise.reject(new Error('the disk is gone')) });
  const answers = await Promise.allSettled(['a', 'b'].map((jti) => take(proof(jti), { hasTime: true })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
});

async function newPilot(store: Store, id: string): Promise<void> {
  const session = { queue: 'Q', node: 'n', public_key: 'k', launcher_id: null, batch_id: null };
  const key = { root_key_id: 'r', wrapped_key: Buffer.alloc(1) };
  const times = { created_at: 1, seen_at: 1, expires_at: 2_000_000_000_000 };
  await store.write((tx) => insertPilot(tx, { id, ...session, ...key, ...times }));
}
