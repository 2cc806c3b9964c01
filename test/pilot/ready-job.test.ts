import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readyJob } from '../../src/pilot/ready-job.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { grantOf, siteNumber, TEMPLATE, userNumber } from '../sealed/samples.ts';
import { temporaryFolder } from './folders.ts';

test('9 of a job with a grant the server says three numbers, and the grant everything else', async (t) => {
  const folder = await temporaryFolder(t);
  const { node, read } = await siteNumber(1);
  const template = { ...TEMPLATE, maxWalltimeSeconds: 3600, memory: 2000, disk: 3000 };
  const end = Math.floor(Date.now() / 1000) + 3600;
  const grant = grantOf(await userNumber(1), [read.identity], { template, secrets: [], end });
  const { parameters, outputs, logName } = splitJob(template, { taskId: 10_000_001, serial: 2 });
  const site = {
    queue: 'GRID_A',
    id: read.identity,
    record: read,
    identities: [node.age.identity],
    resultSigner: node.resultSigner,
  };
  const { job } = await readyJob({
    job: {
      PandaID: 17,
      attemptNr: 4,
      taskID: 10_000_001,
      serial: 2,
      grantAttempt: 1,
      grant,
      jobPars: parameters,
      jobName: 'other',
      transformation: 'https://elsewhere.example/run',
      prodSourceLabel: 'managed',
      prodUserID: 'somebody',
      logFile: 'other.log.tgz',
      outFiles: 'other.txt',
      sandboxSha256: 'cd'.repeat(32),
      maxWalltime: 1,
      minRamCount: 1,
      maxDiskCount: 1,
      coreCount: 64,
      secretsMaskedWhole: [0],
    } as Parameters<typeof readyJob>[0]['job'],
    recipient: await newRecipient(),
    pilotId: 'pilot',
    siteKey: { folder, ledger: join(folder, 'runs'), read: async () => site, isValid: async () => true },
  });
  assert.deepEqual(job, {
    PandaID: 17,
    attemptNr: 4,
    taskID: 10_000_001,
    jobPars: parameters,
    jobName: '',
    transformation: '',
    prodSourceLabel: '',
    prodUserID: '',
    logFile: logName,
    outFiles: [...outputs, logName].join(),
    sandboxSha256: TEMPLATE.sandboxSha256,
    maxWalltime: 3600,
    minRamCount: 2000,
    maxDiskCount: 3000,
  });
});
