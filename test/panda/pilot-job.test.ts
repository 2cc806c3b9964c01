import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeasedJob } from '../../src/jobs/jobs.ts';
import { toPilotJob } from '../../src/panda/pilot-job.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';

const job: LeasedJob = {
  jobId: 42,
  taskId: 10_000_001,
  attempt: 2,
  ownerId: 'o' as OwnerId,
  ownerName: 'Alice Doe',
  name: 'user.Alice.test.42',
  serial: 1,
  anyQueue: true,
  usesSecrets: true,
  secretIds: null,
  sourceUrl: 'https://panda.example',
  parameters: '-p "ls"',
  outputs: ['a.txt', 'b.txt'],
  logName: 'l.log.tgz',
  maxWalltimeSeconds: 3600,
  coreCount: 1,
  memory: 0,
  disk: 0,
  processingType: 'x',
  prodSourceLabel: 'user',
};

/** The fields of PROTOCOL's list, `secrets` apart. */
const FIELDS =
  'PandaID taskID attemptNr jobName jobDefinitionID jobsetID transformation jobPars prodSourceLabel prodUserID ' +
  'processingType transferType swRelease homepackage cmtConfig coreCount maxCpuCount minRamCount maxDiskCount ' +
  'maxWalltime currentPriority cloud sourceSite destinationSE inFiles outFiles logFile logGUID GUID checksum fsize ' +
  'scopeIn scopeOut scopeLog realDatasets realDatasetsIn ddmEndPointIn ddmEndPointOut dispatchDblock ' +
  'dispatchDBlockToken dispatchDBlockTokenForOut destinationDblock destinationDBlockToken prodDBlocks prodDBlockToken ' +
  'fileDestinationSE resource_type nSent reqID';

test('a job has every field that pilots read, and secrets only when they are given', () => {
  const sent = toPilotJob(job);
  assert.deepEqual(
    FIELDS.split(' ').filter((field) => sent[field] === undefined),
    [],
  );
  assert.ok(!('secrets' in sent) && !('sealedSecrets' in sent));
  assert.equal(toPilotJob(job, { secrets: '{}' }).secrets, '{}');
});

test('each file of a job has its place in every list, the log last', () => {
  const sent = toPilotJob(job);
  assert.equal(sent.outFiles, 'a.txt,b.txt,l.log.tgz');
  for (const list of ['realDatasets', 'destinationDblock', 'ddmEndPointOut', 'fileDestinationSE']) {
    assert.equal(String(sent[list]).split(',').length, 3, list);
  }
  assert.equal(sent['scopeOut'], 'user.alice,user.alice');
  assert.equal(sent['scopeLog'], 'user.alice');
  assert.match(String(sent['logGUID']), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('each attempt has a log of its own', () => {
  const guids = [toPilotJob(job), toPilotJob({ ...job, attempt: 3 }), toPilotJob({ ...job, jobId: 43 })];
  assert.equal(new Set(guids.map((sent) => sent['logGUID'])).size, 3);
});
