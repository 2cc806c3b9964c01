/**
 * Measures the data of a site whose jobs run for days that pass as fast as their work is done, with what is kept of them.
 *
 *     npm run bench:days [-- --jobs 100000 --per-day 1000 --keep 10]
 *
 * With PANDA_SECRETS_DATABASE the database is that PostgreSQL, which should be an empty one. What is printed is Markdown for
 * docs/performance.md. Nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openInstallation } from '../src/site/installation.ts';
import { openGrowthSite, rowCounts } from '../test/site/growth.ts';
import { newOwner } from '../test/vault/vaults.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '20000' },
    'per-day': { type: 'string', default: '500' },
    keep: { type: 'string', default: '10' },
    in: { type: 'string', default: tmpdir() },
  },
});
const [total, perDay, days] = [options.jobs, options['per-day'], options.keep].map(Number) as [number, number, number];
const ROWS = 12;
const MEGABYTE = 1_000_000;

const folder = mkdtempSync(join(options.in, 'panda-days-'));
const database = process.env['PANDA_SECRETS_DATABASE'];
const installation = await openInstallation(
  { data: join(folder, 'data'), ...(database && { database }) },
  { create: true, clock: Date.now },
);
const { store, rootKeys } = installation;
const owners = await Promise.all([newOwner(store), newOwner(store), newOwner(store), newOwner(store)]);
const keep = { tasks: days, files: days, sandboxes: days, deliveries: days, audit: days };
const site = await openGrowthSite({ store, rootKeys, folder: join(folder, 'data'), keep }, owners);

console.log(`${machineOf(folder)}; ${perDay} jobs a day, kept for ${days} days (the audit up to 30 more)\n`);
console.log('| jobs so far | rows of jobs | of deliveries | of audit | database, MB | files, MB | jobs a second |');
console.log('|---|---|---|---|---|---|---|');
let last = { jobs: 0, at: performance.now() };
const step = Math.max(1, Math.round(total / perDay / ROWS));
for (let day = 1; day * perDay <= total; day++) {
  await site.day(perDay);
  if (day % step === 0) await print(day * perDay);
}
for (let day = 0; day <= days + 70; day++) await site.day(0);
await print(total);
console.log(`\nThe last line: ${days + 70} days later, without jobs.`);
site.close();
await installation.close();
rmSync(folder, { recursive: true, force: true });

async function print(jobs: number): Promise<void> {
  const { jobs: kept, deliveries, audit } = await rowCounts(store);
  const { database: bytes, files } = await site.sizes();
  const seconds = (performance.now() - last.at) / 1000;
  const cells = [jobs, kept, deliveries, audit, (bytes / MEGABYTE).toFixed(1), (files / MEGABYTE).toFixed(1)];
  console.log(`| ${cells.join(' | ')} | ${Math.round((jobs - last.jobs) / seconds)} |`);
  last = { jobs, at: performance.now() };
}
