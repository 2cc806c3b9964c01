import { verifyAudits } from '../audit/audit.ts';
import { DecryptionFailed, MissingRootKey, UnknownFormat } from '../protocol/errors.ts';
import { DAY_MILLISECONDS } from '../protocol/limits.ts';
import { usedBlobs } from '../store/brought-files.ts';
import { brokenReferences, databaseTime, lastAuditTime, missingFiles } from '../store/diagnosis.ts';
import type { CheckName, Finding } from './finding.ts';
import type { Installation } from './installation.ts';
import { runningServers } from './servers.ts';
import { tryWrappedKeys } from './wrapped-keys.ts';

/** The most that the clocks of servers and database may differ: docs/operator-reference.md. */
const CLOCK_SECONDS = 30;
const ORPHAN_MILLISECONDS = 2 * DAY_MILLISECONDS;
const FILES_AT_ONCE = 500;

type Look = (check: CheckName, work: () => Promise<Finding[]>) => Promise<void>;

/** All that the database says, and that it says of files. */
export async function checkDatabase(installation: Installation, clock: () => number, look: Look): Promise<void> {
  const { store } = installation;
  await look('root keys', () => checkRootKeys(installation, clock));
  await look('schema', async () => [{ check: 'schema', state: 'fine', what: "the tables are this release's" }]);
  await look('clock', () => checkClock(installation, clock));
  await look('audit', async () => {
    const checks = await verifyAudits(store);
    const broken = checks.flatMap(({ chain, check }) =>
      check.whole ? [] : [`${chain} at entry ${check.seq} (${check.reason})`],
    );
    if (broken.length === 0) return [{ check: 'audit', state: 'fine', what: `${checks.length} chains are whole` }];
    const todo =
      'compare with heads that were kept ("panda-secrets audit verify --heads FILE"), and find out who writes the database';
    return [{ check: 'audit', state: 'wrong', what: `chains are broken: ${broken.join('; ')}`, todo }];
  });
  await look('storage', async () => {
    const files = await installation.blobStore();
    await files.check();
    return [{ check: 'storage', state: 'fine', what: `${files.name} takes and gives back files` }];
  });
  await look('orphans', () => checkOrphans(installation, clock));
}

async function checkRootKeys({ store, rootKeys }: Installation, clock: () => number): Promise<Finding[]> {
  const findings: Finding[] = rootKeys.places.flatMap(({ uri, trouble }) =>
    trouble
      ? {
          check: 'root keys',
          state: 'wrong',
          what: `${uri}: ${trouble.message}`,
          todo: 'bring that place back, or take it out',
        }
      : [],
  );
  for (const { table, rootKeyId, error } of await tryWrappedKeys(store, rootKeys)) {
    const what =
      error instanceof MissingRootKey
        ? `${table} has keys that the root key "${rootKeyId}" wraps, which this machine has not got`
        : error instanceof DecryptionFailed || error instanceof UnknownFormat
          ? `the root key "${rootKeyId}" does not open what names it in ${table}: it is another key under that id, or the row was changed`
          : `${table}: ${(error as Error).message}`;
    findings.push({ check: 'root keys', state: 'wrong', what, todo: 'put the right root key back from its safe copy' });
  }
  for (const server of await runningServers(store, clock)) {
    if (server.rootKeys.includes(rootKeys.active.id)) continue;
    const what = `the server on ${server.node} has not got the active root key "${rootKeys.active.id}"`;
    findings.push({
      check: 'root keys',
      state: 'wrong',
      what,
      todo: 'copy it there: users without a data key are refused there',
    });
  }
  if (findings.length > 0) return findings;
  return [
    { check: 'root keys', state: 'fine', what: `"${rootKeys.active.id}" is active, and what root keys wrap opens` },
  ];
}

async function checkClock({ store, isSqlite }: Installation, clock: () => number): Promise<Finding[]> {
  const now = clock();
  const last = await lastAuditTime(store.db);
  if (last !== undefined && last > now + CLOCK_SECONDS * 1000) {
    const seconds = Math.round((last - now) / 1000);
    const what = `the last entry of the audit is ${seconds} seconds in the future: this machine's clock, or another server's, is wrong`;
    return [{ check: 'clock', state: 'wrong', what, todo: 'set the clocks by NTP: tokens and proofs go by them' }];
  }
  const theirs = isSqlite ? undefined : await databaseTime(store.db);
  const off = theirs === undefined ? 0 : Math.abs(theirs - clock()) / 1000;
  if (off > CLOCK_SECONDS) {
    const what = `the database's clock and this machine's differ by ${Math.round(off)} seconds`;
    return [{ check: 'clock', state: 'wrong', what, todo: 'set both by NTP' }];
  }
  return [
    {
      check: 'clock',
      state: 'fine',
      what: theirs === undefined ? 'the clock is behind nothing that was written' : 'the clocks agree',
    },
  ];
}

async function checkOrphans({ store, blobStore }: Installation, clock: () => number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const references = await brokenReferences(store.db);
  for (const [what, count] of Object.entries(references)) {
    const todo = 'restore the database from a backup: this software does not write such rows';
    findings.push({ check: 'orphans', state: 'wrong', what: `${count} ${what}`, todo });
  }
  const { blobs, name } = await blobStore();
  const there = new Set<string>();
  let unused = 0;
  let old: string[] = [];
  const count = async () => {
    const used = await usedBlobs(store.db, old);
    unused += old.filter((sha256) => !used.has(sha256)).length;
    old = [];
  };
  for await (const { sha256, keptAt } of blobs.list()) {
    there.add(sha256);
    if (keptAt < clock() - ORPHAN_MILLISECONDS) old.push(sha256);
    if (old.length === FILES_AT_ONCE) await count();
  }
  await count();
  const missing = await missingFiles(store.db, there);
  if (missing > 0) {
    const what = `${missing} sandboxes, logs or outputs are not in ${name}`;
    findings.push({
      check: 'orphans',
      state: 'wrong',
      what,
      todo: 'restore them from a backup; the jobs that need them fail',
    });
  }
  if (unused > 0) {
    const what = `${unused} files in ${name} are nobody's`;
    findings.push({
      check: 'orphans',
      state: 'warning',
      what,
      todo: 'a server that runs removes them within a day: does one run?',
    });
  }
  if (findings.length > 0) return findings;
  return [{ check: 'orphans', state: 'fine', what: 'every row has what it names, and every file a row' }];
}
