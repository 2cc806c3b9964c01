import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetEnded, noteRun } from '../../src/sealed/ledger.ts';
import { NOW } from './samples.ts';

const grant = { nonce: 'AAECAwQFBgcICQoLDA0ODw', end: NOW, attempts: 2 };
const replayed = { name: 'SealedRefusal', code: 'grant-replayed' };

test('a job is run as often as its grant allows, by all nodes of a folder together', async (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), 'ledger-')), 'runs');
  t.after(() => rmSync(join(folder, '..'), { recursive: true }));
  const runs = await Promise.allSettled(Array.from({ length: 10 }, () => noteRun(folder, grant, 1)));
  assert.equal(runs.filter(({ status }) => status === 'fulfilled').length, 2);
  await assert.rejects(noteRun(folder, grant, 1), replayed);
  await noteRun(folder, grant, 2);
  await noteRun(folder, { ...grant, nonce: `B${grant.nonce.slice(1)}` }, 1);
});

test('what is noted stays until long after the end of the grant', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await noteRun(folder, { ...grant, attempts: 1 }, 1);
  await forgetEnded(folder, NOW + 30 * 24 * 3600);
  await assert.rejects(noteRun(folder, { ...grant, attempts: 1 }, 1), replayed);
  await forgetEnded(folder, NOW + 32 * 24 * 3600);
  assert.deepEqual(readdirSync(folder), []);
  await forgetEnded(join(folder, 'none'), NOW);
});
