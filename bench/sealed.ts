/**
 * Measures sealed secrets: CPU time of this process for sealing and opening ten secrets of 1 kB, beside age's own library.
 *
 *     npm run bench:sealed [-- --rounds N]
 *
 * The rows take turns, so that what else the machine does falls on all. What is printed is Markdown for docs/performance.md. Nothing here passes
 * or fails.
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { armor, Encrypter } from 'age-encryption';
import { wireName } from '../src/protocol/names.ts';
import { openEnvelope } from '../src/sealed/envelope.ts';
import { readGrant } from '../src/sealed/grant.ts';
import { grantOf, sealedFor, siteNumber, userNumber } from '../test/sealed/samples.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const rounds = Number(options.rounds);
/** Rounds that are run first and not counted. */
const WARM_UP = 3;
const SECRETS = 10;
const SITES = 4;
const VALUE = 'x'.repeat(1000);

const user = await userNumber(1);
const sites = await Promise.all(Array.from({ length: SITES }, (_, n) => siteNumber(n + 1)));
const records = sites.map(({ read }) => read);
const names = Array.from({ length: SECRETS }, (_, n) => wireName(`SECRET_${n}`));
const sealed = await Promise.all(names.map((name) => sealedFor(user, records, { name, value: VALUE })));
const last = sites.at(-1);
const grant = grantOf(user, [last?.read.identity ?? '']);

const rows: Record<string, { work: () => Promise<unknown>; milliseconds: number[] }> = {
  [`sealing ${SECRETS} for their owner and ${SITES} sites`]: {
    work: async () => {
      for (const name of names) await sealedFor(user, records, { name, value: VALUE });
    },
    milliseconds: [],
  },
  "the same with the age library's own recipients": {
    work: async () => {
      for (const _ of names) {
        const encrypter = new Encrypter();
        for (const { recipient } of [user.age, ...records]) encrypter.addRecipient(recipient);
        armor.encode(await encrypter.encrypt(VALUE));
      }
    },
    milliseconds: [],
  },
  [`opening ${SECRETS} at the last of the sites, signatures checked`]: {
    work: async () => {
      for (const [n, name] of names.entries()) {
        const expected = { signer: user.signer.publicKey, name, atLeast: 1, site: last?.read.identity };
        await openEnvelope(sealed[n] ?? '', last ? [last.node.age.identity] : [], expected);
      }
    },
    milliseconds: [],
  },
  'reading a grant': { work: async () => readGrant(grant), milliseconds: [] },
};
for (let round = -WARM_UP; round < rounds; round++) {
  for (const { work, milliseconds } of Object.values(rows)) {
    const began = process.cpuUsage();
    await work();
    const { user: own, system } = process.cpuUsage(began);
    if (round >= 0) milliseconds.push((own + system) / 1000);
  }
}
console.log(`${machineOf(tmpdir())}\n`);
console.log('| | ms of CPU, median |\n|---|---|');
for (const [what, { milliseconds }] of Object.entries(rows)) {
  console.log(`| ${what} | ${(milliseconds.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0).toFixed(1)} |`);
}
