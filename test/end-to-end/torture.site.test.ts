import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { eachStore } from '../stores.ts';
import { randomFrom, torture } from './torture.ts';

/** `npm run torture` does the same a thousand times. */
const KILLS = 3;

eachStore(
  'a server that is killed while it writes has lost nothing that it answered, and left nothing half',
  async (t, { url }) => {
    const seed = Number(process.env['PANDA_TEST_SEED'] ?? randomBytes(4).readUInt32LE());
    t.diagnostic(`PANDA_TEST_SEED=${seed}`);
    const seen = await torture({ kills: KILLS, random: randomFrom(seed), ...(url && { database: url }) });
    t.diagnostic(JSON.stringify(seen));
    assert.equal(seen.kills, KILLS);
  },
);
