/**
 * Measures sealed secrets: CPU time of this process for sealing and opening ten secrets of 1 kB, beside age's own library; and the time
 * until a job with ten of them starts, beside one with ten plain ones.
 *
 *     npm run bench:sealed [-- --rounds N] [--pairs N]
 *
 * The rows take turns, so that what else the machine does falls on all. What is printed is Markdown for docs/performance.md. Nothing here passes
 * or fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { armor, Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption';
import { wireName } from '../src/protocol/names.ts';
import { openEnvelope } from '../src/sealed/envelope.ts';
import { readGrant } from '../src/sealed/grant.ts';
import { grantOf, sealedFor, siteNumber, userNumber } from '../test/sealed/samples.ts';
import { jobStarts } from './sealed/job-starts.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, pairs: { type: 'string', default: '20' } },
});
const rounds = Number(options.rounds);
const pairs = Number(options.pairs);
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
const ofLibrary = await Promise.all(Array.from({ length: SITES + 1 }, () => generateHybridIdentity()));
const recipients = await Promise.all(ofLibrary.map((identity) => identityToRecipient(identity)));
const sealedByLibrary = await sealWithLibrary();

async function sealWithLibrary(): Promise<string> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(VALUE));
}

interface Row {
  title: string;
  work: () => Promise<unknown>;
  milliseconds: number[];
}
const row = (title: string, work: () => Promise<unknown>): Row => ({ title, work, milliseconds: [] });

/** Each with the same work by age's own library, where that does it. */
const rows: (readonly [own: Row] | readonly [own: Row, library: Row])[] = [
  [
    row(`sealing ${SECRETS} for their owner and ${SITES} sites`, async () => {
      for (const name of names) await sealedFor(user, records, { name, value: VALUE });
    }),
    row('the same by the age library', async () => {
      for (const _ of names) await sealWithLibrary();
    }),
  ],
  [
    row(`opening ${SECRETS} at the last of the sites, signatures checked`, async () => {
      for (const [n, name] of names.entries()) {
        const expected = { signer: user.signer.publicKey, name, atLeast: 1, site: last?.read.identity };
        await openEnvelope(sealed[n] ?? '', last ? [last.node.age.identity] : [], expected);
      }
    }),
    row('the same by the age library, without signatures', async () => {
      for (const _ of names) {
        const decrypter = new Decrypter();
        decrypter.addIdentity(ofLibrary.at(-1) ?? '');
        await decrypter.decrypt(armor.decode(sealedByLibrary), 'text');
      }
    }),
  ],
  [row('reading a grant', async () => readGrant(grant))],
];
for (let round = -WARM_UP; round < rounds; round++) {
  for (const { work, milliseconds } of rows.flat()) {
    const began = process.cpuUsage();
    await work();
    const { user: own, system } = process.cpuUsage(began);
    if (round >= 0) milliseconds.push((own + system) / 1000);
  }
}
console.log(`${machineOf(tmpdir())}; ${rounds} rounds\n`);
console.log('| | ms of CPU, median | ÷ age library |\n|---|--:|--:|');
for (const [own, library] of rows) {
  const against =
    library && median(own.milliseconds.map((taken, n) => taken / (library.milliseconds[n] ?? Number.NaN)));
  console.log(`| ${own.title} | ${median(own.milliseconds).toFixed(1)} | ${against?.toFixed(2) ?? ''} |`);
  if (library) console.log(`| ${library.title} | ${median(library.milliseconds).toFixed(1)} | 1.00 |`);
}

const folder = mkdtempSync(join(tmpdir(), 'bench-sealed-'));
try {
  const values = names.map((name) => name.padEnd(VALUE.length, 'x'));
  const { plain, sealed: ofSealed } = await jobStarts(folder, pairs, values);
  const later = ofSealed.map((taken, n) => taken - (plain[n] ?? Number.NaN));
  console.log(
    `\n${pairs} pairs of jobs on one pilot, from its word that a job starts to the first thing that the payload does:\n`,
  );
  console.log(
    '| a job with | ms, median | ÷ plain, median of pairs | later by, ms, median of pairs (quarters) |\n|---|--:|--:|--:|',
  );
  console.log(`| ${SECRETS} plain secrets of 1 kB | ${median(plain).toFixed(0)} | 1.00 | |`);
  const ratio = median(ofSealed.map((taken, n) => taken / (plain[n] ?? Number.NaN)));
  const quarters = [0.25, 0.75].map((share) => quantile(later, share).toFixed(0)).join(' to ');
  const difference = `${median(later).toFixed(0)} (${quarters})`;
  console.log(`| ${SECRETS} sealed ones | ${median(ofSealed).toFixed(0)} | ${ratio.toFixed(2)} | ${difference} |`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}
