import type { Batch, BatchId, PilotRequest, SeenPilot } from '../../../src/pilot/launcher/batch.ts';
import { createLauncher } from '../../../src/pilot/launcher/launcher.ts';
import type { LauncherSettings } from '../../../src/pilot/launcher/settings.ts';
import { Refused, Unavailable } from '../../../src/protocol/errors.ts';
import type { Launching } from '../../../src/protocol/launching.ts';

/** A batch system that is a table. */
export interface StubBatch extends Batch {
  jobs: Map<BatchId, SeenPilot & { token?: string }>;
  /** The commands that were run. */
  calls: string[];
  /** Thrown by every command while it is set. */
  trouble?: Error | undefined;
  /** Thrown by `submit` alone. */
  refusal?: Error | undefined;
  /** Thrown by `hand` alone. */
  unhanded?: Error | undefined;
  /** Starts what waits. */
  startAll(): void;
}

export function stubBatch(): StubBatch {
  let last = 0;
  const batch: StubBatch = {
    jobs: new Map(),
    calls: [],
    async submit() {
      called('submit');
      if (batch.refusal) throw batch.refusal;
      const id = String(++last);
      batch.jobs.set(id, { state: 'pending' });
      return id;
    },
    async list(_name, known) {
      called('list');
      const seen = new Map<BatchId, SeenPilot>(batch.jobs);
      for (const id of known) if (!seen.has(id)) seen.set(id, { state: 'gone' });
      return seen;
    },
    async cancel(ids) {
      called('cancel');
      for (const id of ids) batch.jobs.delete(id);
    },
    async hand(id, token) {
      called('hand');
      if (batch.unhanded) throw batch.unhanded;
      const job = batch.jobs.get(id);
      if (job?.state !== 'running') throw new Refused('it does not run', null);
      if (job.token) return false;
      job.token = token;
      return true;
    },
    startAll() {
      for (const [id, job] of batch.jobs) if (job.state === 'pending') batch.jobs.set(id, { state: 'running' });
    },
  };
  const called = (name: string) => {
    batch.calls.push(name);
    if (batch.trouble) throw batch.trouble;
  };
  return batch;
}

/** A server at which pilots join as soon as they have a token. */
export interface StubServer extends Launching {
  waiting: number;
  running: number;
  needs: Awaited<ReturnType<Launching['getLoad']>>['needs'];
  /** Batch jobs with a good token, and those that have joined. */
  tokens: Map<string, BatchId>;
  joined: Set<BatchId>;
  ends: [BatchId, string][];
  calls: string[];
  trouble?: Error | undefined;
}

export function stubServer(): StubServer {
  let made = 0;
  const called = (name: string) => {
    server.calls.push(name);
    if (server.trouble) throw server.trouble;
  };
  const server: StubServer = {
    waiting: 0,
    running: 0,
    needs: [],
    tokens: new Map(),
    joined: new Set(),
    ends: [],
    calls: [],
    async getLoad() {
      called('getLoad');
      const { waiting, running, needs, joined } = server;
      return { state: 'open', waiting, running, needs, pilots: joined.size };
    },
    async createJoinToken({ batch_id }) {
      called('createJoinToken');
      if (server.joined.has(batch_id)) throw new Refused('a pilot joined', null);
      for (const [id, batch] of server.tokens) if (batch === batch_id) server.tokens.delete(id);
      const token_id = `join-${++made}`;
      server.tokens.set(token_id, batch_id);
      return { token: `${token_id}.SECRET`, token_id, expires_at: '' };
    },
    async withdrawJoinToken({ token_id }) {
      called('withdrawJoinToken');
      return { withdrawn: server.tokens.delete(token_id) };
    },
    async reportEnd({ batch_id, reason }) {
      called('reportEnd');
      server.ends.push([batch_id, reason]);
      server.joined.delete(batch_id);
      for (const [id, batch] of server.tokens) if (batch === batch_id) server.tokens.delete(id);
      return { pilots: 0, jobs: 0 };
    },
    async listBatchJobs() {
      called('listBatchJobs');
      const invited = [...server.tokens.values()].map((batch_id) => ({ batch_id, joined: false }));
      return [...invited, ...[...server.joined].map((batch_id) => ({ batch_id, joined: true }))];
    },
  };
  return server;
}

const PILOT: PilotRequest = { name: 'p', cores: 1, memoryMB: 2000, minutes: 60, gpus: 0, extra: [], argv: ['pilot'] };

/** A launcher of both, on a clock of its own. */
export function stubLauncher(
  batch: Batch,
  server: Launching,
  limits: Partial<LauncherSettings['limits']> = {},
  { slots = 1, queue = 'SLURM' }: { slots?: number; queue?: string } = {},
) {
  const said: string[] = [];
  let now = 0;
  const launcher = createLauncher({
    batch,
    server,
    settings: {
      queue,
      pilot: { ...PILOT, slots, idleSeconds: 300, command: ['pilot'], options: [] },
      limits: { maxQueued: 10, maxPilots: 100, backlog: 1, pollSeconds: 10, ...limits },
    },
    pilot: PILOT,
    say: (text) => void said.push(text),
    clock: () => now,
  });
  return {
    launcher,
    said,
    /** Rounds, with the usual time between them. */
    async rounds(count: number, secondsBetween = 10) {
      for (let done = 0; done < count; done++) {
        await launcher.round();
        now += secondsBetween * 1000;
      }
    },
  };
}

export const DOWN = new Unavailable('squeue: unable to contact slurm controller');
