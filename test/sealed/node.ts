import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { create } from 'tar';
import { resultsOf } from '../../src/pilot/results.ts';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { readGrant } from '../../src/sealed/grant.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { type Device, newDevice, siteOf } from './device.ts';

/** What a job brings back: the text of its log, outputs by their local names, and what is sent of the log while it runs. */
export interface Brought {
  log?: string;
  outputs?: Record<string, string>;
  live?: readonly string[];
  /** The live log is sent to its end. */
  ends?: boolean;
  state?: 'running' | 'finished' | 'failed';
}

/** A user who submits tasks with a sealed secret, and the node of a site that they trust, played by the test. */
export interface Signed extends Device {
  site: Awaited<ReturnType<typeof siteOf>>;
  /** @returns the id of the task */
  submit(...args: string[]): Promise<number>;
  /** The jobs that the node gets. */
  acquire(): Promise<PilotJob[]>;
  /** Does what a node does with one of them. */
  bring(job: PilotJob, brought: Brought): Promise<void>;
}

/** Looks like a secret, and is found wherever it stands. */
export const VALUE = 'w7Kq-needle-Zt93xP';

/** A device with the sealed secret TOKEN, which trusts the site of the queue; and a folder with the script run.sh. */
export async function newDeviceOfSite(t: TestContext) {
  const device = await newDevice(t);
  const site = await siteOf(1);
  await device.publish(site.word);
  await device.done('keys', 'trust', `default=${site.id}`);
  await device.done('set_secret', 'TOKEN', VALUE);
  const work = join(device.folder, 'work');
  mkdirSync(work);
  writeFileSync(join(work, 'run.sh'), 'echo hello');
  return { device, site, work };
}

export async function newSigned(t: TestContext): Promise<Signed> {
  const { device, site, work } = await newDeviceOfSite(t);
  const { pilot } = await device.server.joinedPilot();
  let tasks = 0;
  return {
    ...device,
    site,
    async submit(...args) {
      tasks += 1;
      const task = ['--exec', 'sh run.sh %RNDM:1', '--outDS', `user.alice.t${tasks}`, '--outputs', 'out.txt'];
      const given = [...task, '--useSecrets=TOKEN', '--site', 'default', ...args];
      const { status, stdout, stderr } = await device.prun(given, { cwd: work });
      assert.equal(status, 0, stderr);
      return Number(/jediTaskID=(\d+)/.exec(stdout)?.[1]);
    },
    async acquire() {
      const { offers: sealing_keys } = await newRecipient();
      const request = { site_name: 'default', node: 'n', n_jobs: 10, sealed: true, sealing_keys };
      return [...(await pilot.acquireJobs(request))];
    },
    async bring(job, { log, outputs = {}, live = [], ends = false, state = 'finished' }) {
      const grant = readGrant(job.grant ?? '');
      const { serial = 0, grantAttempt = 0, logFile = '' } = job;
      const place = { nonce: grant.nonce, serial, attempt: grantAttempt };
      const results = resultsOf(site.node.resultSigner, place, grant.results);
      const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
      await pilot.updateJob({ ...attempt, job_status: 'running' });
      let offset = 0;
      for (const [seq, text] of live.entries()) {
        const last = ends && seq === live.length - 1;
        const { bytes, signature } = await results.preparePart(logFile, seq, Buffer.from(text), last);
        ({ size: offset } = await pilot.appendJobLog({ ...attempt, offset, signature }, bytes));
      }
      const folder = mkdtempSync(join(device.folder, 'job-'));
      const upload = async (kind: 'log' | 'output', name: string, file: string) => {
        const { path, signature } = await results.prepare(kind, name, file);
        await pilot.uploadJobFile({ ...attempt, kind, name, signature }, path);
      };
      const names = String(job['outFiles']).split(',');
      for (const [local, text] of Object.entries(outputs)) {
        const name = names.find((one) => one.endsWith(local));
        assert.ok(name);
        writeFileSync(join(folder, local), text);
        await upload('output', name, join(folder, local));
      }
      if (log !== undefined) {
        writeFileSync(join(folder, 'log.txt'), log);
        await create({ cwd: folder, file: join(folder, 'log.tgz'), gzip: true }, ['log.txt']);
        await upload('log', logFile, join(folder, 'log.tgz'));
      }
      const failed = { pilot_error_code: 1305, pilot_error_diag: 'exit status 1' };
      if (state !== 'running') {
        await pilot.updateJob({ ...attempt, job_status: state, ...(state === 'failed' && failed) });
      }
    },
  };
}
