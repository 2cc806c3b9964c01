import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { refused, succeeded } from '../../src/protocol/envelope.ts';
import { quote } from '../../src/protocol/python-text.ts';
import type { SealingKey } from '../../src/protocol/sealed.ts';
import { type DeliverySealer, deliverySealer } from '../../src/sealing/delivery.ts';
import { validateWhenNeeded } from '../../src/server/plugins/arguments.ts';
import { ofEarlierPilot } from '../sealing/seal.ts';
import { readVectors } from '../sealing/vectors.ts';
import { archive, type Entry } from './archives.ts';
import { PILOT_ID, stubSessions } from './stub-session.ts';

const OWNER = 'owner-1';

/** True for a request that a server took before there were formats of deliveries. */
const knewAll = validateWhenNeeded()({
  schema: readVectors('acquire-jobs-before-formats'),
  method: 'POST',
  url: '/api/v1/pilot/acquire_jobs',
});

interface TestJob {
  command: string;
  /** `'out.txt'` -> the name to keep it under. */
  outputs?: Record<string, string>;
  runDirectory?: string;
  /** `null`: the job names no sandbox. */
  sandbox?: Entry[] | null;
  /** Where the task says that it is, when not at this server. */
  sourceUrl?: string;
  secrets?: Record<string, string>;
  /** In which forms the command finds them. */
  secretsAs?: string;
  /** The treatment of outputs that hold them. */
  leakedOutputs?: string;
  /** The number of others that its owner has. */
  secretsLeftOut?: number;
  /** Sealed to this pilot instead. */
  sealedFor?: string;
  /** Fields of the answer in place of the right ones. */
  changed?: Record<string, unknown>;
  maxWalltime?: number;
  minRamCount?: number;
  maxDiskCount?: number;
}

/** Reports and files that came, and what to answer. */
export interface PandaServer {
  url: string;
  add(...jobs: TestJob[]): void;
  reports: Record<string, unknown>[];
  /** `kind/name` -> content. */
  uploads: Map<string, Buffer>;
  offers: SealingKey[][];
  /** All of each request for a job. */
  requests: Record<string, unknown>[];
  /** The ids of the jobs of each question that the pilot asked about those that it runs. */
  questions: number[][];
  /** Tells the pilot to kill whatever it runs. */
  killing: boolean;
  /** Answers every call with HTTP 503 while true. */
  broken: boolean;
  /** Answers as a release that knew one format of deliveries: what it did not know in a request it refuses. */
  earlier: boolean;
  /** Refuses reports, as of an attempt that was lost. */
  lost: boolean;
  /** Called before each upload and each report of an end is answered. */
  onResult: (what: string) => void;
  /** Resolves with the first report, past or to come, of that state. */
  reported(state: string): Promise<Record<string, unknown>>;
}

/**
 * The pilot's side of a PanDA server: the envelope, the calls of `pilot/` and the sandboxes, on a real socket. What the server
 * thinks of a report is told by the test, not worked out.
 */
export async function startPanda(t: TestContext): Promise<PandaServer> {
  const waiting: TestJob[] = [];
  const sandboxes = new Map<string, Buffer>();
  const sessions = stubSessions();
  const watchers = new Set<() => void>();
  let lastId = 100;
  const panda: PandaServer = {
    url: '',
    add: (...jobs) => void waiting.push(...jobs),
    reports: [],
    uploads: new Map(),
    offers: [],
    requests: [],
    questions: [],
    killing: false,
    broken: false,
    earlier: false,
    lost: false,
    onResult: () => {},
    async reported(state) {
      for (;;) {
        const found = panda.reports.find((report) => report['job_status'] === state);
        if (found) return found;
        await new Promise<void>((resolve) => watchers.add(resolve));
      }
    },
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  panda.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return panda;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', panda.url);
    const body = await buffer(request);
    const send = (envelope: object) => {
      const text = JSON.stringify(envelope);
      response.writeHead(200, { 'Content-Type': 'application/json', ...sessions.prove(request, text) });
      response.end(text);
    };
    if (panda.broken) {
      response.statusCode = 503;
      response.end();
      return;
    }
    const [, cached] = /^\/cache\/(.*)$/.exec(url.pathname) ?? [];
    if (cached !== undefined) {
      const sandbox = sandboxes.get(cached);
      if (!sandbox) return send(refused(`there is no sandbox "${cached}"`));
      response.setHeader('Content-Type', 'application/gzip');
      response.end(sandbox);
      return;
    }
    if (url.pathname === '/api/v1/pilot/join') return send(sessions.join(JSON.parse(body.toString())));
    if (!sessions.prove(request, '')) return send(refused('whose session is that?'));
    switch (url.pathname) {
      case '/api/v1/pilot/acquire_jobs': {
        const request = JSON.parse(body.toString());
        const { sealing_keys: keys } = request;
        panda.requests.push(request);
        panda.offers.push(keys);
        if (panda.earlier && knewAll(request) !== true) return send(refused('what is that argument?'));
        const given = waiting.splice(0, request.n_jobs ?? 1);
        if (given.length === 0) return send(refused('No jobs in PanDA'));
        const sealer = await deliverySealer(panda.earlier ? ofEarlierPilot(keys) : keys);
        const jobs = await Promise.all(given.map((job) => toPilotJob(job, sealer)));
        return send(succeeded({ StatusCode: 0, jobs }));
      }
      case '/api/v1/pilot/update_job': {
        const report = JSON.parse(body.toString());
        if (report.job_status === 'finished' || report.job_status === 'failed') panda.onResult('report');
        panda.reports.push(report);
        for (const resolve of watchers) resolve();
        watchers.clear();
        if (panda.lost) return send(refused('the attempt is no longer yours'));
        return send(succeeded({ StatusCode: 0, command: panda.killing ? 'tobekilled' : 'NULL' }));
      }
      case '/api/v1/pilot/get_job_status': {
        const command = panda.killing ? 'tobekilled' : 'NULL';
        const ids = url.searchParams.getAll('job_ids').map(Number);
        panda.questions.push(ids);
        return send(succeeded(ids.map((id) => ({ job_id: id, status: 'running', attempt_number: 1, command }))));
      }
      case '/api/v1/pilot/upload_job_file': {
        const key = `${url.searchParams.get('kind')}/${url.searchParams.get('name')}`;
        panda.onResult(key);
        panda.uploads.set(key, body);
        return send(succeeded(null, 'OK'));
      }
      case '/api/v1/pilot/leave':
        return send(succeeded(null, 'OK'));
    }
    response.statusCode = 404;
    response.end();
  }

  async function toPilotJob(job: TestJob, sealer: DeliverySealer): Promise<PilotJob> {
    const id = ++lastId;
    const { command, outputs = {}, runDirectory = '.', sandbox = [], secrets, secretsAs, sealedFor = PILOT_ID } = job;
    const sandboxName = `jobO.${id}.tar.gz`;
    if (sandbox) sandboxes.set(sandboxName, archive({ path: './', type: 'Directory', mode: 0o755 }, ...sandbox));
    const names = Object.entries(outputs).map(([local, name]) => `'${local}': '${name}'`);
    const context = { jobId: id, attempt: 1, ownerId: OWNER, pilotId: sealedFor };
    return {
      PandaID: id,
      taskID: 10_000_001,
      attemptNr: 1,
      jobName: `user.adoe.test.${id}`,
      transformation: '',
      jobPars: [
        secretsAs === undefined ? '' : `--secretsAs ${secretsAs} `,
        job.leakedOutputs === undefined ? '' : `--leakedOutputs ${job.leakedOutputs} `,
        `-j "" --sourceURL ${job.sourceUrl ?? panda.url} -r ${runDirectory}`,
        sandbox ? ` -a ${sandboxName}` : '',
        names.length > 0 ? ` -o "{${names.join(', ')}}"` : '',
        ` -p "${quote(command)}"`,
      ].join(''),
      prodSourceLabel: 'user',
      prodUserID: 'A Doe',
      outFiles: Object.values(outputs).join(','),
      logFile: `user.adoe.test.log.${id}.log.tgz`,
      maxWalltime: job.maxWalltime ?? 0,
      minRamCount: job.minRamCount ?? 0,
      maxDiskCount: job.maxDiskCount ?? 0,
      ...(job.secretsLeftOut ? { secretsLeftOut: job.secretsLeftOut } : {}),
      ...(secrets ? { sealedSecrets: await sealer.seal(context, Buffer.from(JSON.stringify(secrets))) } : {}),
      ...job.changed,
    };
  }
}
