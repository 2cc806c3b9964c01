/**
 * Kills a server at random moments while it writes, and looks each time that nothing which it answered is lost and nothing is half.
 *
 *     npm run torture [-- --kills 1000 --seed N]
 *
 * On SQLite, or on the empty PostgreSQL database that PANDA_SECRETS_DATABASE names. It ends with status 1 at the first fault, whose seed it
 * prints.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { randomFrom, torture } from '../test/end-to-end/torture.ts';

const { values: options } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, seed: { type: 'string' } },
});
const seed = Number(options.seed ?? randomBytes(4).readUInt32LE());
const database = process.env['PANDA_SECRETS_DATABASE'];
console.log(`seed ${seed}, ${database ? 'PostgreSQL' : 'SQLite'}`);
const began = performance.now();
const seen = await torture({
  kills: Number(options.kills),
  random: randomFrom(seed),
  ...(database && { database }),
  tell: (so) => {
    if (so.kills % 50 === 0) console.log(JSON.stringify(so));
  },
});
console.log(JSON.stringify(seen), `${Math.round((performance.now() - began) / 1000)} s`);
