import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { closed, LABEL_VALUES } from '../../src/metrics/labels.ts';
import * as creds from '../../src/protocol/calls/creds.ts';
import { acquireJobs } from '../../src/protocol/calls/pilot.ts';
import { submitTask } from '../../src/protocol/calls/task.ts';
import { VERSION } from '../../src/protocol/version.ts';
import { canonicalPlace } from '../../src/sealing/open-root-keys.ts';
import { taskParameters } from '../jobs/farm.ts';
import { eachStore } from '../stores.ts';
import { type Sample, sample, samplesAt, valueAt } from './metrics.ts';
import { startServer } from './start.ts';

const MARK = 'MARK7f3a';
/** Library's own labels: what they are, and their closed sets as far as there are some. */
const OF_THE_LIBRARY = new Set(['le', 'type', 'kind', 'space', 'major', 'minor', 'patch', 'version']);

eachStore('hostile calls put nothing of their own into a label, and make no more of them', async (t, { url }) => {
  const settings = {
    metricsListen: { host: '127.0.0.1', port: 0 },
    failedRequests: 100_000,
    ...(url && { database: url }),
  };
  const server = await startServer(t, { settings });
  const user = await server.userToken(`alice-${MARK}`);
  const pilot = await server.pilotToken(`QUEUE_${MARK}`, { allowTlsSecrets: true });
  await server.ask(user, creds.setUserSecrets, { key: `KEY_${MARK}`, value: `value-${MARK}` });
  await server.ask(user, submitTask, { task_parameters: taskOf(`user.${MARK}`, `QUEUE_${MARK}`) });
  await server.ask(pilot, acquireJobs, { site_name: `QUEUE_${MARK}` });

  const attack = async (n: number) => {
    const headers = { authorization: `Bearer ${user}${MARK}`, 'user-agent': MARK, origin: MARK };
    const send = (path: string, init: RequestInit = {}) => fetch(`${server.url}${path}`, { headers, ...init });
    await send(`/api/v1/creds/${MARK}${n}`);
    await send(`/${MARK}${n}/metrics?x=${MARK}`);
    await send(`/api/v1/creds/get_user_secrets?keys=${MARK}${n}`);
    await send('/api/v1/creds/get_user_secrets', { method: 'DELETE' });
    await send(`/%zz${MARK}`);
    await send('/api/v1/creds/set_user_secrets', { method: 'POST', body: `{"key":"${MARK}=","value":"${MARK}"}` });
    await send(`/auth/${MARK}${n}_auth_config.json`);
    await send(`/docs/${MARK}${n}`);
    await send('/oauth/token', { method: 'POST', body: `grant_type=${MARK}${n}&client_id=${MARK}` });
    await server.ask(user, creds.setUserSecrets, { key: `${MARK}=${n}`, value: '' });
    await server.ask(pilot, acquireJobs, { site_name: `${MARK}${n}` });
  };
  await attack(0);
  const before = await samplesAt(server);
  for (let n = 1; n <= 30; n++) await attack(n);
  await new Promise((resolve) => setTimeout(resolve, 1100)); // A text is given again for a second.
  const after = await samplesAt(server);

  assert.ok(!after.text.includes(MARK));
  const series = ({ samples }: { samples: Sample[] }) =>
    samples.filter(({ name }) => name.startsWith('panda_secrets_'));
  assert.equal(series(after).length, series(before).length, 'more of the same calls are no more series');
  const calls = await knownCalls(server.url);
  for (const { name, labels } of after.samples) {
    for (const [label, value] of Object.entries(labels)) {
      const isKnown =
        label === 'call'
          ? calls.has(value)
          : name === 'panda_secrets_info'
            ? value === VERSION
            : label in LABEL_VALUES
              ? (LABEL_VALUES[label as keyof typeof LABEL_VALUES] as readonly string[]).includes(value)
              : OF_THE_LIBRARY.has(label);
      assert.ok(isKnown, `${name} ${label}="${value}"`);
    }
  }
  assert.equal(valueAt(after, 'panda_secrets_requests_total', { call: 'other', outcome: 'ERR_UNKNOWN_CALL' }), 4 * 31);
});

function taskOf(name: string, site: string) {
  return { ...taskParameters(name), useSecrets: true, site };
}

/** All paths of the calls of this server, and the names for what is none. */
async function knownCalls(url: string): Promise<Set<string>> {
  const { paths } = (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as { paths: Record<string, unknown> };
  const names = Object.keys(paths).map((path) => path.replace('/api/v1/', ''));
  return new Set([...names, 'panda/getJob', 'panda/updateJob', 'page', 'other']);
}

eachStore('metrics tell what happened: calls, refusals, commits, jobs, deliveries, the audit', async (t, { url }) => {
  const server = await startServer(t, { settings: { metricsListen: 'public', ...(url && { database: url }) } });
  const [user, pilot] = [await server.userToken('alice'), await server.pilotToken('SITE', { allowTlsSecrets: true })];
  await server.ask(user, creds.setUserSecrets, { key: 'KEY', value: 'a value' });
  await server.ask(user, creds.setUserSecrets, { key: '=', value: 'a value' });
  await server.ask('no token', creds.getUserSecrets, {});
  let tasks = 0;
  const submit = () => server.ask(user, submitTask, { task_parameters: taskOf(`user.alice.${++tasks}`, 'SITE') });
  assert.equal((await submit()).success, true);
  await server.ask(pilot, acquireJobs, { site_name: 'SITE' });
  await submit();
  const anywhere = { ...taskParameters('user.alice.anywhere'), useSecrets: true };
  assert.equal((await server.ask(user, submitTask, { task_parameters: anywhere })).success, true);

  const seen = await samplesAt(server);
  const value = (name: string, labels = {}) => valueAt(seen, `panda_secrets_${name}`, labels);
  const set = { call: 'creds/set_user_secrets' };
  assert.equal(value('requests_total', { ...set, outcome: 'ok' }), 1);
  assert.equal(value('requests_total', { ...set, outcome: 'ERR_INVALID_NAME' }), 1);
  assert.equal(value('requests_total', { call: 'creds/get_user_secrets', outcome: 'ERR_UNAUTHENTICATED' }), 1);
  assert.equal(value('request_seconds_count', { ...set, result: 'refused' }), 1);
  assert.equal(value('deliveries_total', { sealed_with: 'tls' }), 1);
  assert.equal(value('acquired_jobs_total'), 1);
  assert.deepEqual([value('running_jobs'), value('waiting_jobs')], [1, 2]);
  assert.ok(value('oldest_waiting_job_seconds') > 0 && value('oldest_waiting_job_seconds') < 3600);
  assert.ok(value('commits_total') >= 4);
  assert.equal(value('commit_writes_count'), value('commits_total'));
  assert.ok(value('audit_entries') >= 3 && value('audit_age_seconds') < 3600);
  assert.ok(value('root_key_uses_total', { place: 'file', key: 'active', how: 'wrap', ok: 'yes' }) >= 1);
  assert.ok(value('disk_free_bytes') > 0);
  assert.deepEqual([value('ready'), value('database_up')], [1, 1]);
  assert.ok(sample(seen, 'nodejs_eventloop_lag_p99_seconds') && sample(seen, 'process_resident_memory_bytes'));
});

test('readings of the database are kept for a while, however often somebody asks', async (t) => {
  const server = await startServer(t, { settings: { metricsListen: 'public' } });
  const user = await server.userToken('alice');
  const entries = async () => valueAt(await samplesAt(server), 'panda_secrets_audit_entries');
  const before = await entries();
  await server.ask(user, creds.setUserSecrets, { key: 'KEY', value: 'a value' });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(await entries(), before);
});

test('each code of an error is an outcome of its own', () => {
  const source = readFileSync(join(import.meta.dirname, '../../src/protocol/errors.ts'), 'utf8');
  const codes = [...source.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code = '']) => code);
  assert.ok(codes.length > 15);
  for (const code of codes) assert.ok((LABEL_VALUES.outcome as readonly string[]).includes(code), code);
});

test('each kind of place of root keys is a place of its own', () => {
  assert.throws(
    () => canonicalPlace('nowhere:'),
    ({ message }: Error) => {
      const known = [...(/begin with (.*), not /.exec(message)?.[1] ?? '').matchAll(/(\S+):/g)].map(
        ([, kind = '']) => kind,
      );
      assert.ok(known.length > 4, message);
      for (const kind of known) assert.equal(closed('place', kind), kind);
      return true;
    },
  );
});

test('a value that no label has is other', () => {
  assert.deepEqual(
    [closed('outcome', 'alice'), closed('place', 'file'), closed('place', '')],
    ['other', 'file', 'other'],
  );
});

test("the operators' page has a row for each metric, with what it says itself", async (t) => {
  const server = await startServer(t, { settings: { metricsListen: 'public' } });
  const { text } = await samplesAt(server);
  const told = new Map(
    [...text.matchAll(/^# HELP (panda_secrets_\S+) (.*)$/gm)].map(([, name = '', help = '']) => [name, help]),
  );
  const page = readFileSync(join(import.meta.dirname, '../../docs/operator-reference.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(panda_secrets_\w+)[^|]*\| ([^|]*) \|$/gm)];
  assert.deepEqual(new Map(rows.map(([, name = '', help = '']) => [name, help.trim()])), told);
});
