import assert from 'node:assert/strict';
import { KeyObject, randomBytes, sign } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { createJoinToken, refusedUses } from '../../src/identity/join-tokens.ts';
import { createPilotSessions, type PilotSessions } from '../../src/identity/pilot-sessions.ts';
import { endPilotSession, listedPilots } from '../../src/identity/pilots.ts';
import { Conflict, DecryptionFailed, Forbidden, NotFound, Unauthenticated } from '../../src/protocol/errors.ts';
import { answerMac, type JoinRequest, joinKeyOf, parseJoinToken, requestMac } from '../../src/protocol/join.ts';
import { PILOT_IDLE_SECONDS, PILOT_SESSION_SECONDS, PROOF_SECONDS } from '../../src/protocol/limits.ts';
import { digestOf, type RequestProof } from '../../src/protocol/request-proof.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, type TestDatabase } from '../stores.ts';

const REQUEST = { method: 'POST', path: '/api/v1/pilot/acquire_jobs', query: '' };

/** A store, a clock that the test sets, and as many servers on them as it wants. */
async function setUp(database: TestDatabase) {
  const store = await database.open();
  const rootKeys = await openKeyFile(`${database.folder}/root-keys`, { create: true });
  const time = { now: Date.parse('2030-01-01T00:00:00Z') };
  const clock = () => time.now;
  const server = (on: Store = store) => createPilotSessions({ store: on, rootKeys, clock });
  return {
    store,
    rootKeys,
    time,
    clock,
    server,
    sessions: server(),
    newToken: async (ttlSeconds = 60) =>
      parseJoinToken(await createJoinToken({ store, rootKeys, clock }, { queue: 'Q', ttlSeconds })),
  };
}

type Site = Awaited<ReturnType<typeof setUp>>;

/** A pilot's request to join with a token. */
async function joinRequest(token: ReturnType<typeof parseJoinToken>, queue = 'Q') {
  const { publicKey, privateKey } = await generateKeyPair('Ed25519');
  const { x = '' } = await exportJWK(publicKey);
  const nonce = randomBytes(32).toString('base64url');
  const request: JoinRequest = { tokenId: token.id, queue, node: 'node1', publicKey: x, nonce };
  return { request, mac: requestMac(joinKeyOf(token), request), privateKey };
}

async function joined({ sessions, newToken }: Site) {
  const { request, mac, privateKey } = await joinRequest(await newToken());
  const { pilotId } = await sessions.join(request, mac);
  return { pilotId, publicKey: request.publicKey, privateKey };
}

interface Pilot {
  pilotId: string;
  publicKey: string;
  privateKey: CryptoKey;
}

function proofOf(
  { pilotId, publicKey, privateKey }: Pilot,
  now: number,
  claims: Partial<Record<keyof RequestProof, unknown>> = {},
  header: object = {},
): Promise<string> {
  const whole = {
    jti: randomBytes(16).toString('base64url'),
    htm: 'POST',
    htu: 'https://panda.example.org/api/v1/pilot/acquire_jobs',
    iat: Math.floor(now / 1000),
    ath: digestOf(pilotId),
    query: '',
    body_sha256: digestOf('{}'),
    ...claims,
  };
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey };
  return new SignJWT(whole as JWTPayload)
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk, ...header })
    .sign(privateKey);
}

/** The proof with more in its header, which the library would not sign. */
function signedAnew({ privateKey }: Pilot, proof: string, more: object): string {
  const [header = '', payload] = proof.split('.');
  const changed = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), ...more };
  const signed = `${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${payload}`;
  return `${signed}.${sign(null, Buffer.from(signed), KeyObject.from(privateKey)).toString('base64url')}`;
}

function refusedBy(sessions: PilotSessions, pilotId: string, proof: string | undefined, reason: RegExp): Promise<void> {
  return assert.rejects(
    sessions.authenticate(pilotId, proof, REQUEST),
    (error) => error instanceof Unauthenticated && reason.test(error.message),
  );
}

eachStore(
  'a pilot that joined is known by its proofs, serves its queue, and is shown to its operator',
  async (_t, database) => {
    const site = await setUp(database);
    const pilot = await joined(site);
    const { caller, bodyDigest } = await site.sessions.authenticate(
      pilot.pilotId,
      await proofOf(pilot, site.time.now),
      REQUEST,
    );
    assert.deepEqual(
      [caller.kind, caller.subject, caller.queues, caller.proven, bodyDigest],
      ['pilot', pilot.pilotId, ['Q'], true, digestOf('{}')],
    );
    const [shown] = await listedPilots(site.store, site.clock);
    assert.deepEqual([shown?.id, shown?.queue, shown?.node, shown?.state], [pilot.pilotId, 'Q', 'node1', 'active']);
  },
);

eachStore(
  'of many that join with one token at the same moment, at two servers, one is let in',
  async (_t, database) => {
    const site = await setUp(database);
    const servers = [site.sessions, site.server(await database.open())];
    const token = await site.newToken();
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, n) => {
        const { request, mac } = await joinRequest(token);
        return servers[n % 2]?.join(request, mac);
      }),
    );
    const failures = tries.filter((one) => one.status === 'rejected').map(({ reason }) => reason);
    assert.equal(failures.length, 9);
    assert.ok(failures.every((reason) => reason instanceof Conflict));
    assert.equal((await listedPilots(site.store, site.clock)).length, 1);
    const [refused] = await refusedUses(site.store);
    assert.deepEqual([refused?.times, refused?.sameKey], [9, false]);
  },
);

eachStore('of many that send one proof at the same moment, to two servers, one is taken', async (_t, database) => {
  const site = await setUp(database);
  const servers = [site.sessions, site.server(await database.open())];
  const pilot = await joined(site);
  for (const hasTime of [() => false, () => true, (n: number) => n % 3 > 0]) {
    const proof = await proofOf(pilot, site.time.now);
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) =>
        servers[n % 2]?.authenticate(pilot.pilotId, proof, REQUEST, { hasTime: hasTime(n) }),
      ),
    );
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  }
});

eachStore(
  'a proof is not good again when a server whose clock is ahead has removed what ended',
  async (_t, database) => {
    const site = await setUp(database);
    const pilot = await joined(site);
    const proof = await proofOf(pilot, site.time.now);
    await site.sessions.authenticate(pilot.pilotId, proof, REQUEST);
    site.time.now += (PROOF_SECONDS - 1) * 1000;
    const ahead = createPilotSessions({ ...site, clock: () => site.time.now + PROOF_SECONDS * 1000 });
    await ahead.removeEnded();
    await refusedBy(site.sessions, pilot.pilotId, proof, /used already/);
  },
);

eachStore('a token is good for its time and its queue, and for who holds its secret', async (_t, database) => {
  const site = await setUp(database);
  const token = await site.newToken(60);
  const other = await joinRequest(token, 'other');
  await assert.rejects(site.sessions.join(other.request, other.mac), Forbidden);
  const guessed = await joinRequest({ ...token, secret: randomBytes(32) });
  await assert.rejects(site.sessions.join(guessed.request, guessed.mac), Unauthenticated);
  const unknown = await joinRequest({ ...token, id: 'join-0000000000000000' });
  await assert.rejects(site.sessions.join(unknown.request, unknown.mac), /unknown to this server/);
  await assert.rejects(site.sessions.join(guessed.request, ''), Unauthenticated);

  site.time.now += 60_000;
  const late = await joinRequest(token);
  await assert.rejects(site.sessions.join(late.request, late.mac), /has ended/);
  assert.deepEqual(await refusedUses(site.store), [], 'none of these is a second use');
});

eachStore('what the database holds lets nobody join, and cannot be turned to another queue', async (_t, database) => {
  const site = await setUp(database);
  const token = await site.newToken();
  const row = await site.store.db.selectFrom('join_tokens').selectAll().executeTakeFirstOrThrow();
  const { request } = await joinRequest(token);
  assert.ok(!Buffer.from(row.wrapped_key).includes(joinKeyOf(token)));
  await assert.rejects(site.sessions.join(request, requestMac(row.wrapped_key, request)), Unauthenticated);

  await site.store.write((tx) => tx.updateTable('join_tokens').set({ queue: 'other' }).execute());
  const moved = await joinRequest(token, 'other');
  await assert.rejects(site.sessions.join(moved.request, moved.mac), DecryptionFailed);

  const pilot = await joined(site);
  await site.sessions.authenticate(pilot.pilotId, await proofOf(pilot, site.time.now), REQUEST);
  await site.store.write((tx) => tx.updateTable('pilots').set({ queue: 'other' }).execute());
  const proof = await proofOf(pilot, site.time.now);
  await assert.rejects(site.sessions.authenticate(pilot.pilotId, proof, REQUEST), DecryptionFailed);
});

eachStore('a proof that is not of now, this request and this key is refused', async (_t, database) => {
  const site = await setUp(database);
  const [pilot, other] = [await joined(site), await joined(site)];
  const { pilotId } = pilot;
  const { now } = site.time;
  const far = (PROOF_SECONDS + 1) * 1000;
  const cases: [proof: Promise<string> | string | undefined, reason: RegExp][] = [
    [proofOf(pilot, now - far), /seconds from the server's time/],
    [proofOf(pilot, now + far), /seconds from the server's time/],
    [proofOf(pilot, now, { htm: 'GET' }), /another method/],
    [proofOf(pilot, now, { htu: 'https://panda.example.org/api/v1/pilot/update_job' }), /another call/],
    [proofOf(pilot, now, { htu: 'nonsense' }), /another call/],
    [proofOf(pilot, now, { query: 'a=1' }), /query string/],
    [proofOf(pilot, now, { ath: digestOf(other.pilotId) }), /another session/],
    [proofOf(pilot, now, { jti: 'short' }), /missing or malformed/],
    [proofOf(pilot, now, { body_sha256: undefined }), /missing or malformed/],
    [proofOf(pilot, now, { iat: 'now' }), /malformed/],
    [proofOf({ ...pilot, privateKey: other.privateKey }, now), /not signed by the session's key/],
    [proofOf({ ...other, pilotId }, now), /not signed by the session's key/],
    [proofOf(pilot, now, {}, { jwk: { kty: 'OKP', crv: 'Ed25519', x: other.publicKey } }), /not the session's/],
    [proofOf(pilot, now, {}, { typ: 'JWT' }), /malformed/],
    [signedAnew(pilot, await proofOf(pilot, now), { crit: ['exp'], exp: 1 }), /malformed/],
    [signedAnew(pilot, await proofOf(pilot, now), { b64: false }), /malformed/],
    [
      (await proofOf(pilot, now)).replace(
        /^[^.]+/,
        Buffer.from('{"alg":"none","typ":"dpop+jwt"}').toString('base64url'),
      ),
      /malformed/,
    ],
    ['', /header "DPoP" is missing/],
    [undefined, /header "DPoP" is missing/],
    ['a.b', /malformed/],
  ];
  for (const [proof, reason] of cases) await refusedBy(site.sessions, pilotId, await proof, reason);
  await site.sessions.authenticate(pilotId, await proofOf(pilot, now - far + 2000), REQUEST);
});

eachStore(
  'a session ends when its operator says so, when its pilot leaves, by silence and by age',
  async (_t, database) => {
    const site = await setUp(database);
    const pilots = [await joined(site), await joined(site), await joined(site)] as const;
    const ask = async (pilot: Pilot, server = site.sessions) =>
      server.authenticate(pilot.pilotId, await proofOf(pilot, site.time.now), REQUEST);
    await endPilotSession(site.store, site.clock, pilots[0].pilotId);
    await assert.rejects(ask(pilots[0]), /the operator ended it/);
    await assert.rejects(endPilotSession(site.store, site.clock, pilots[0].pilotId), Conflict);
    await assert.rejects(endPilotSession(site.store, site.clock, 'pilot-nobody'), NotFound);
    await site.sessions.leave(pilots[1].pilotId);
    await assert.rejects(ask(pilots[1]), /the pilot left/);

    const until = site.time.now + PILOT_SESSION_SECONDS * 1000;
    const silence = PILOT_IDLE_SECONDS * 1000;
    for (; site.time.now < until; site.time.now += silence - 1) await ask(pilots[2]);
    await assert.rejects(ask(pilots[2]), /opened long ago/);

    const quiet = await joined(site);
    site.time.now += silence;
    await assert.rejects(ask(quiet), /silent for too long/);
    const shown = (await listedPilots(site.store, site.clock)).map(({ state }) => state);
    assert.deepEqual(shown.sort(), ['ended by operator', 'ended by pilot', 'expired', 'silent']);
  },
);

eachStore("the server's answer to a join proves that it knows the token", async (_t, database) => {
  const site = await setUp(database);
  const token = await site.newToken();
  const { request, mac } = await joinRequest(token);
  const { mac: answered, ...answer } = await site.sessions.join(request, mac);
  assert.equal(answered, answerMac(joinKeyOf(token), mac, answer));
  assert.equal(answer.serverTime, site.time.now);
});
