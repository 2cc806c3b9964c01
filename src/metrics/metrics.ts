import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RoomEvent } from '../events/events.ts';
import { FAILURES } from '../protocol/errors.ts';
import { READINESS_FRESH_SECONDS } from '../protocol/limits.ts';
import { VERSION } from '../protocol/version.ts';
import { addedUp, type Counts, countsOf } from './added-up.ts';
import { closed, LABEL_VALUES } from './labels.ts';

/** The figures that are read when somebody asks. One that could not be read is left out. */
export interface Readings {
  ready: boolean;
  databaseUp: boolean;
  waitingJobs?: number;
  /** Seconds; 0 when none waits. */
  oldestWaiting?: number;
  runningJobs?: number;
  activePilots?: number;
  auditEntries?: number;
  /** Seconds. */
  auditAge?: number;
  /** Bytes that this server's user may still use on the disk of the data folder. */
  diskFree?: number;
}

/** The counts of a server, for Prometheus. */
export interface Metrics {
  /** For each event: cheap, and never with a name in it. */
  count(event: RoomEvent): void;
  /** All of it, in Prometheus's text format; the same text for `READINESS_FRESH_SECONDS`. */
  text(): Promise<{ contentType: string; text: string }>;
  /** What this process counted. */
  counts(): Promise<Counts>;
}

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const GROUP_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/**
 * @param read what is read when somebody asks; it is bounded in time, and does not throw
 * @param others where several processes are one server: what the others counted
 */
export function createMetrics(read: () => Promise<Readings>, others?: (own: Counts) => Promise<Counts[]>): Metrics {
  const counted = new Registry();
  const shown = new Registry();
  collectDefaultMetrics({ register: counted });
  const counters = makeCounters(counted);
  const gauges = makeGauges(shown);
  let fresh: { text: Promise<string>; until: number } | undefined;

  async function write(): Promise<string> {
    showReadings(gauges, await read());
    return `${await countsText()}${await shown.metrics()}`;
  }

  async function countsText(): Promise<string> {
    if (!others) return counted.metrics();
    const own = await countsOf(counted);
    return addedUp([own, ...(await others(own))]).metrics();
  }

  return {
    count: (event) => countEvent(counters, event),
    async text() {
      const now = performance.now();
      if (!fresh || fresh.until < now) fresh = { text: write(), until: now + READINESS_FRESH_SECONDS * 1000 };
      return { contentType: counted.contentType, text: await fresh.text };
    },
    counts: () => countsOf(counted),
  };
}

function makeCounters(registry: Registry) {
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `panda_secrets_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const histogram = <L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ) =>
    new Histogram({ name: `panda_secrets_${name}`, help, buckets, labelNames: [...labelNames], registers: [registry] });
  // Of the whole server, each process knows it or none.
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `panda_secrets_${name}`, help, registers: [registry], aggregator: 'max' });
  const counters = {
    requests: counter('requests_total', 'Requests that were answered.', ['call', 'outcome']),
    latency: histogram(
      'request_seconds',
      'Time to the end of an answer, without what it waited for news of a log as it was asked to.',
      LATENCY_BUCKETS,
      ['call', 'result'],
    ),
    commits: counter('commits_total', 'Commits to the database.'),
    commitWrites: histogram('commit_writes', 'Writes that shared a commit.', GROUP_BUCKETS),
    commitSeconds: histogram('commit_seconds', 'Time of a commit with its writes.', LATENCY_BUCKETS),
    deliveries: counter('deliveries_total', 'Jobs whose secrets went to a pilot.', ['sealed_with']),
    deliveredSecrets: counter('delivered_secrets_total', 'Secrets in those deliveries.'),
    undeliverable: counter('undeliverable_total', 'Jobs whose secrets could not be delivered.', ['outcome', 'retried']),
    withheld: counter('withheld_jobs_total', 'Waiting jobs that a pilot did not get as it may have no secrets.'),
    acquired: counter('acquired_jobs_total', 'Jobs that pilots took.'),
    attempts: counter('attempts_ended_total', 'Attempts at jobs that ended; lost: the lease expired.', [
      'how',
      'retried',
    ]),
    refusedLogins: counter('refused_logins_total', 'Sign-ins and joins that were refused.', ['how']),
    rootKeyUses: counter('root_key_uses_total', 'Uses of root keys, by the kind of their place.', [
      ...(['place', 'key', 'how', 'ok'] as const),
    ]),
    tampered: counter('tampered_jobs_total', 'Jobs whose row something else changed.'),
    brokenAudit: counter('broken_audit_chains_total', 'Audit chains that were not cut, as they are not whole.'),
    housekeeping: counter('housekeeping_failures_total', "Runs of the server's own work that failed.", ['task']),
    diskFull: gauge('disk_full', '1 while the disk is full and its reserve given up.'),
    blobs: gauge(
      'blobs',
      'Files of sandboxes, logs and outputs when this server went through them last, every six hours.',
    ),
    blobBytes: gauge('blob_bytes', 'Bytes of those files.'),
  };
  // From the start, so that an alert sees the first one.
  for (const outcome of ['ERR_DECRYPTION_FAILED', 'ERR_TAMPERED', 'ERR_MISSING_ROOT_KEY']) {
    for (const retried of LABEL_VALUES.retried) counters.undeliverable.inc({ outcome, retried }, 0);
  }
  for (const how of ['finished', 'failed', 'lost']) {
    for (const retried of LABEL_VALUES.retried) counters.attempts.inc({ how, retried }, 0);
  }
  for (const how of ['guessing', 'disabled', 'used token']) counters.refusedLogins.inc({ how }, 0);
  for (const task of LABEL_VALUES.task) counters.housekeeping.inc({ task }, 0);
  // Nobody knows before they are gone through.
  counters.blobs.remove({});
  counters.blobBytes.remove({});
  return counters;
}

function countEvent(counters: ReturnType<typeof makeCounters>, event: RoomEvent): void {
  switch (event.event) {
    case 'call.answered': {
      const { call, seconds } = event;
      const outcome = closed('outcome', event.outcome === 'ok' && event.status >= 400 ? 'other' : event.outcome);
      const result = outcome === 'ok' ? 'ok' : FAILURES.has(outcome) || event.status >= 500 ? 'failed' : 'refused';
      counters.requests.inc({ call, outcome });
      counters.latency.observe({ call, result }, seconds);
      break;
    }
    case 'store.committed':
      counters.commits.inc();
      counters.commitWrites.observe(event.writes);
      counters.commitSeconds.observe(event.seconds);
      break;
    case 'secrets.delivered':
      counters.deliveries.inc({ sealed_with: closed('sealed_with', event.sealedWith) });
      counters.deliveredSecrets.inc(event.secrets);
      break;
    case 'secrets.undeliverable':
      counters.undeliverable.inc({ outcome: codeOf(event.error), retried: yesNo(event.retriable) });
      break;
    case 'secrets.withheld':
      counters.withheld.inc(event.jobs);
      break;
    case 'jobs.acquired':
      counters.acquired.inc(event.jobs);
      break;
    case 'attempt.ended':
      counters.attempts.inc({ how: closed('how', event.how), retried: yesNo(event.retried) });
      break;
    case 'login.refused':
      counters.refusedLogins.inc({ how: closed('how', event.how) });
      break;
    case 'root_key.used':
      counters.rootKeyUses.inc({
        place: closed('place', event.place),
        key: event.active ? 'active' : 'older',
        how: closed('how', event.how),
        ok: yesNo(event.ok),
      });
      break;
    case 'job.tampered':
      counters.tampered.inc();
      break;
    case 'audit.broken':
      counters.brokenAudit.inc(event.chains);
      break;
    case 'housekeeping.failed':
      counters.housekeeping.inc({ task: closed('task', event.task) });
      break;
    case 'disk.full':
    case 'disk.room':
      counters.diskFull.set(event.event === 'disk.full' ? 1 : 0);
      break;
    case 'files.counted':
      counters.blobs.set(event.files);
      counters.blobBytes.set(event.bytes);
      break;
  }
}

function codeOf(error: unknown) {
  return closed('outcome', String((error as { code?: unknown } | undefined)?.code));
}

function yesNo(is: boolean): 'yes' | 'no' {
  return is ? 'yes' : 'no';
}

type Gauges = Record<keyof Readings, Gauge>;

function makeGauges(registry: Registry): Gauges {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `panda_secrets_${name}`, help, registers: [registry] });
  const info = { name: 'panda_secrets_info', help: '1, with the version of this server.', registers: [registry] };
  new Gauge({ ...info, labelNames: ['version'] }).set({ version: VERSION }, 1);
  return {
    ready: gauge('ready', '1 while /readyz answers 200.'),
    databaseUp: gauge('database_up', '1 while the database answers.'),
    waitingJobs: gauge('waiting_jobs', 'Of the site: jobs of all queues that wait for a pilot, up to 10000.'),
    oldestWaiting: gauge(
      'oldest_waiting_job_seconds',
      'Of the site: how long the job waits that waits longest; 0 when none does.',
    ),
    runningJobs: gauge('running_jobs', 'Of the site: attempts that have not ended.'),
    activePilots: gauge(
      'active_pilots',
      'Of the site: pilots that joined, have not ended, and were heard of within four hours.',
    ),
    auditEntries: gauge(
      'audit_entries',
      'Of the site: the sum of the numbers of the last entries of all audit chains.',
    ),
    auditAge: gauge('audit_age_seconds', 'Of the site: how long ago the newest entry of the audit was made.'),
    diskFree: gauge('disk_free_bytes', 'Free bytes of the disk of the data folder.'),
  };
}

function showReadings(gauges: Gauges, readings: Readings): void {
  for (const [name, gauge] of Object.entries(gauges)) {
    const value = readings[name as keyof Readings];
    if (value === undefined) gauge.remove({});
    else gauge.set(Number(value));
  }
}
