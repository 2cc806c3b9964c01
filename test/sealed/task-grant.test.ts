import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildTaskParameters, type TaskOptions } from '../../src/client/task-parameters.ts';
import { parseTaskParameters } from '../../src/panda/task-parameters.ts';
import { InvalidArgument } from '../../src/protocol/errors.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { wireName } from '../../src/protocol/names.ts';
import { admitJob } from '../../src/sealed/admission.ts';
import { makeGrant, readGrant } from '../../src/sealed/grant.ts';
import { marksOf } from '../../src/sealed/marks.ts';
import { grantAgain, grantFor } from '../../src/sealed/task-grant.ts';
import { NOW, sealedFor, siteNumber, userNumber } from './samples.ts';

const TASK = 10_000_007;
const keys = await userNumber(1);
const site = await siteNumber(1);
const other = await siteNumber(2);
const { identity: id } = site.read;
const TOKEN = wireName('TOKEN');
const sealed = await sealedFor(keys, [site.read]);
const folder = mkdtempSync(join(tmpdir(), 'grant-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
const marks = marksOf(join(folder, 'marks'), keys.signer.publicKey);
await marks.take([{ name: TOKEN, version: 5 }]);
const own = { keys, marks };
const random = () => crypto.getRandomValues(new Uint8Array(16));

function parametersOf(change: Partial<TaskOptions> = {}): Record<string, unknown> {
  const options = {
    exec: 'echo %RNDM:5',
    outDataset: 'user.al.one',
    outputs: ['out.txt'],
    jobs: 3,
    useSecrets: true,
    commandLine: '',
  };
  return buildTaskParameters({ ...options, ...change }, 'panda', {
    origin: 'https://panda.example',
    fileName: 'jobO.1.tar.gz',
  });
}
const given = (parameters = parametersOf()) => ({
  task: TASK,
  parameters,
  sandboxSha256: 'ab'.repeat(32),
  names: [TOKEN],
  sites: [id],
});

test('each job that the server makes of a task is the one that its grant says', async () => {
  const command = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 80 })
    .filter((text) => text.trim() !== '' && text.isWellFormed());
  await fc.assert(
    fc.asyncProperty(
      command,
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom([], ['json'], ['env', 'files']),
      async (exec, jobs, forms) => {
        const secretForms = forms.length > 0 ? { secretForms: forms as ['json'] } : {};
        const parameters = parametersOf({ exec, jobs, maxWalltime: 3, memory: 100, ...secretForms });
        const { template, jobCount, maxAttempts } = parseTaskParameters(parameters);
        const grant = await grantFor(own, given(parameters), NOW, random());
        const { attempts, template: signed } = readGrant(grant);
        assert.deepEqual([attempts, signed.memory, signed.maxWalltimeSeconds], [maxAttempts, template.memory, 10_800]);
        const release = { grant, taskId: TASK, attempt: maxAttempts, delivered: [['TOKEN', sealed] as const] };
        const parametersAt = (serial: number) => splitJob(template, { taskId: TASK, serial }).parameters;
        const admitted = admitJob(
          { ...release, serial: jobCount, parameters: parametersAt(jobCount) },
          { site: id, now: NOW },
        );
        assert.equal(admitted?.serial, jobs);
      },
    ),
  );
});

test('what could not run is refused before it is signed', async () => {
  const refused = { name: 'SealedRefusal', code: 'grant-template' };
  await assert.rejects(grantFor(own, given(parametersOf({ outputs: ['panda_secrets.json'] })), NOW, random()), refused);
  await assert.rejects(grantFor(own, { ...given(), sandboxSha256: null }, NOW, random()), refused);
  for (const wrong of [{ sites: [] }, { names: [wireName('UNKNOWN')] }, { seconds: 32 * 24 * 3600 }, { seconds: 0 }]) {
    await assert.rejects(grantFor(own, { ...given(), ...wrong }, NOW, random()), InvalidArgument);
  }
});

test('a name as a file is not the one that was sealed as a string', async () => {
  await assert.rejects(
    grantFor(own, { ...given(), names: [wireName('TOKEN', 'file')] }, NOW, random()),
    InvalidArgument,
  );
});

test('signing again changes the nonce, the end and the sites alone', async () => {
  const word = await grantFor(own, given(), NOW, random());
  const again = grantAgain(own, word, { task: TASK, sites: [id, other.read.identity] }, NOW + 100, random());
  const [before, after] = [readGrant(word), readGrant(again)];
  assert.notEqual(before.nonce, after.nonce);
  const { nonce, end, sites } = after;
  assert.deepEqual({ ...before, nonce, end, sites }, after);
  assert.equal(after.end, before.end + 100);
  assert.equal(after.sites.length, 2);
});

test("a grant of another's, or for another task, is not signed again", async () => {
  const foreign = await userNumber(9);
  const { signer: _signer, nonce: _nonce, ...content } = readGrant(await grantFor(own, given(), NOW, random()));
  const again = (word: string, task = TASK) => grantAgain(own, word, { task, sites: [id] }, NOW, random());
  assert.throws(() => again(makeGrant(foreign.signer, content, random())), /not yours/);
  assert.throws(() => again(makeGrant(keys.signer, content, random()), TASK + 1), /is for task/);
  const toOther = { ...content, results: foreign.results.recipient };
  assert.throws(() => again(makeGrant(keys.signer, toOther, random())), /sealed to somebody else/);
  again(makeGrant(keys.signer, { ...content, results: keys.results.recipient }, random()));
  assert.throws(() => again('x.y'), { name: 'SealedRefusal' });
});
