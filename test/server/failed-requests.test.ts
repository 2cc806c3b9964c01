import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FastifyInstance, fastify } from 'fastify';
import { countFailedRequests } from '../../src/server/plugins/failed-requests.ts';

/** A server on which each request proves nothing, and the third of a network is refused. */
async function flooded(
  clock = () => 0,
): Promise<(remoteAddress: string, headers?: Record<string, string>) => Promise<boolean>> {
  const app = fastify() as unknown as FastifyInstance;
  countFailedRequests(app, {
    isKnownToken: (token) => token === 'good',
    isKnownPilot: (pilotId) => pilotId === 'pilot',
    clock,
    perMinute: () => 2,
  });
  app.get('/', async (request) => {
    request.refuseFlood();
    request.countFailure();
    return '';
  });
  return async (remoteAddress, headers = {}) => {
    const { statusCode } = await app.inject({ url: '/', remoteAddress, headers });
    return statusCode === 200;
  };
}

test('addresses that one machine may have to itself are one address', async () => {
  for (const [first, second, others] of [
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', ['2001:db8:1:3::1', '2001:db8::2:1', '::1']],
    ['2001:db8::1', '2001:db8:0:0:1::', ['2001:db8:0:1::']],
    ['192.0.2.1', '::ffff:192.0.2.1', ['192.0.2.2', '::ffff:192.0.2.3']],
  ] as const) {
    const isTaken = await flooded();
    assert.deepEqual([await isTaken(first), await isTaken(second)], [true, true]);
    assert.deepEqual([await isTaken(first), await isTaken(second)], [false, false], second);
    for (const other of others) assert.equal(await isTaken(other), true, other);
  }
});

test('an address is refused for a minute, also when the clock is set back', async () => {
  let now = 3_600_000;
  const isTaken = await flooded(() => now);
  const from = '192.0.2.1';
  const isFull = async () => {
    const taken = [await isTaken(from), await isTaken(from), await isTaken(from)];
    assert.deepEqual(taken, [true, true, false]);
  };
  await isFull();
  now += 59_999;
  assert.equal(await isTaken(from), false);
  now += 1;
  await isFull();
  now = 0;
  await isFull();
});

test('of an address that is refused, tokens and pilots that were found good before are taken, and no others', async () => {
  const isTaken = await flooded();
  const from = '192.0.2.1';
  for (let n = 0; n < 2; n++) await isTaken(from);
  for (const authorization of ['Bearer good', 'bearer good', 'DPoP pilot']) {
    assert.equal(await isTaken(from, { authorization }), true, authorization);
  }
  for (const authorization of ['Bearer pilot', 'DPoP good', 'DPoP x', 'Basic good', 'good', '']) {
    assert.equal(await isTaken(from, { authorization, dpop: 'x' }), false, authorization);
  }
});
