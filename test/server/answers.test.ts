import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Compile } from 'typebox/schema';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { sandboxCalls } from '../../src/client/sandboxes.ts';
import { createTransport, type Transport } from '../../src/client/transport.ts';
import { BYTES, type Call } from '../../src/protocol/calls/call.ts';
import type { ArgumentsAt } from '../../src/protocol/calls/calls.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { sandboxChecksum } from '../../src/protocol/sandbox-checksum.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { taskParameters } from '../jobs/farm.ts';
import { PASSWORD, startLoginSite } from '../login/login-site.ts';
import { allCalls } from './calls.ts';
import { type Exchange, type Middle, startMiddle } from './middle.ts';

const BYTES_TYPE = 'application/octet-stream';
const NOTHING = { worker_id: '1', harvester_id: 'h', status: 'running' };

test('every call answers what its schema says, and nothing beside it', async (t) => {
  const { middle, connection, user, operator, browsing, pilot, sealedPilot } = await setUp(t);
  await keepSecrets(user);
  const taskIds = await submitTasks(user);
  await lookAtTasks(user, taskIds);
  await runJob(user, pilot, { site_name: 'trusted' });
  await runJob(user, sealedPilot, { site_name: 'default', sealing_keys: (await newRecipient()).offers });
  await endTasks(user, taskIds);
  await sealedPilot.post('pilot/leave', {});
  await user.get('task/check_site', { site: 'trusted' });
  await user.get('system/is_alive', {});
  await user.get('system/get_attributes', {});
  await user.get('system/get_user_attributes', {});
  await user.get('system/get_quotas', {});
  await pilot.get('system/get_user_attributes', {});
  await administer(operator, connection);
  await endOwnLogins(browsing);
  assert.equal((await user.get('creds/get_queue_notices', {})).data.changes.length, 1);
  await pilot.post('pilot/update_worker_status', NOTHING);
  await pilot.post('pilot/update_worker_node', { site: 's', host_name: 'n', cpu_model: 'c' });
  await pilot.post('pilot/update_worker_node_gpu', { site: 's', host_name: 'n', vendor: 'v', model: 'm', count: 1 });

  const calls = await allCalls();
  const seen = new Set(middle.exchanges.map((exchange) => checkAnswer(calls, exchange)));
  const unseen = calls.map(({ path }) => path).filter((path) => !seen.has(path));
  assert.deepEqual(unseen, [], 'no answer was checked of these: add them to this test');
});

/** @returns the path of the call, when it succeeded */
function checkAnswer(calls: readonly Call[], { path, answer }: Exchange): string | undefined {
  const name = path.replace('/api/v1/', '').split('?', 1)[0];
  const call = calls.find((one) => one.path === name);
  assert.ok(call, path);
  if (call.answer === BYTES) {
    assert.equal(answer.headers['content-type'], BYTES_TYPE);
    return name;
  }
  const { success, message, data } = JSON.parse(answer.body.toString());
  if (!success) return undefined;
  const [right, mistakes] = Compile(closed(call.answer)).Errors(data);
  assert.ok(right, `${name} ${message}: ${JSON.stringify(data)} ${JSON.stringify(mistakes)}`);
  return name;
}

/** A schema whose objects have no further fields, unless it says that they may. */
function closed<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(closed) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const inside = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  return ('properties' in inside ? { additionalProperties: false, ...inside } : inside) as T;
}

/** A user and two pilots, who reach the server by way of a proxy that keeps what it answers. */
async function setUp(t: TestContext) {
  const server = await startLoginSite(t, { users: ['lara'], settings: { trustedProxies: ['127.0.0.1'] } });
  const middle: Middle = await startMiddle(t, server.url);
  const connection = { url: middle.url, ca: [middle.ca], vo: 'panda' };
  const [userToken, operatorToken, pilotToken] = [
    await server.userToken('alice'),
    await server.operatorToken(),
    await server.pilotToken('trusted', { allowTlsSecrets: true }),
  ];
  const { id_token } = await server.logIn('lara');
  const join = await prepareJoin(connection, { token: await server.joinToken(), queue: 'default', node: 'node1' });
  const user = createTransport({ ...connection, token: async () => userToken });
  const operator = createTransport({ ...connection, token: async () => operatorToken });
  const browsing = createTransport({ ...connection, token: async () => id_token });
  const pilot = createTransport({ ...connection, token: async () => pilotToken });
  const sealedPilot = createTransport({ ...connection, signer: await join() });
  t.after(() => {
    for (const transport of [user, operator, browsing, pilot, sealedPilot]) transport.close();
  });
  return { middle, connection, user, operator, browsing, pilot, sealedPilot };
}

async function keepSecrets(user: Transport): Promise<void> {
  for (const [key, value] of [
    ['TOKEN', 'one'],
    ['TOKEN', 'two'],
    ['___file___:key.pem', 'a2V5'],
  ] as const) {
    await user.post('creds/set_user_secrets', { key, value, queues: ['trusted', 'default'] });
  }
  await user.post('creds/set_user_secrets', { key: 'FOR_ONE', value: 'x', queues: ['trusted'] });
  await user.get('creds/get_user_secrets', {});
  await user.get('creds/list_user_secrets', {});
  await user.post('creds/restore_secret', { key: 'TOKEN', version: 1 });
  await user.get('creds/get_secret_versions', { key: 'TOKEN' });
  await user.get('creds/get_secret_version', { key: 'TOKEN', version: 1 });
  await user.get('creds/get_site_record', { queue: 'trusted' });
}

async function submitTasks(user: Transport): Promise<[one: number, two: number]> {
  const content = gzipSync('not really a tar');
  const { uploadSandbox, findSandbox } = sandboxCalls(user, user);
  await uploadSandbox(`jobO.${randomUUID()}.tar.gz`, content);
  const checksum = sandboxChecksum();
  checksum.update(content);
  assert.ok(await findSandbox(content.length, checksum.value() ?? 0));
  const submit = async (name: string, queue: string) => {
    const parameters = { ...taskParameters(name, 'true', ['out.txt']), useSecrets: true, site: queue };
    return (await user.post('task/submit', { task_parameters: parameters })).data;
  };
  const sealed = {
    ...taskParameters('user.alice.sealed', 'true', ['out.txt']),
    secretNames: ['TOKEN'],
    sealed: true,
    site: 'default',
  };
  const { data: task_id } = await user.post('task/submit', { task_parameters: sealed });
  await user.post('task/grant', { task_id, grant: 'eyJ9.c2ln' });
  await user.get('task/get_details', { task_id, include_parameters: true });
  await user.post('task/kill', { task_id });
  return [await submit('user.alice.one', 'trusted'), await submit('user.alice.two', 'default')];
}

async function lookAtTasks(user: Transport, taskIds: readonly number[]): Promise<void> {
  await user.get('task/get_tasks_detailed_info_since', {});
  for (const task_id of taskIds) {
    await user.get('task/get_status', { task_id });
    await user.get('task/get_details', { task_id, include_status: true });
    const { data: job_ids } = await user.get('task/get_job_ids', { task_id });
    await user.get('job/get_description', { job_ids: [...job_ids, 1] });
    await user.get('job/get_status', { job_ids: [...job_ids, 1] });
    await user.post('task/pause', { task_id });
    await user.post('task/resume', { task_id });
  }
}

/** The job that waits for this pilot, through all that the two of them may say. */
async function runJob(user: Transport, pilot: Transport, request: ArgumentsAt<'pilot/acquire_jobs'>): Promise<void> {
  const [job] = (await pilot.post('pilot/acquire_jobs', request)).data.jobs;
  assert.ok(job);
  assert.ok(request.sealing_keys ? job.sealedSecrets && job.secretsLeftOut : job.secrets);
  const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
  const upload = { type: BYTES_TYPE, body: Buffer.from('content') };
  await pilot.post('pilot/update_job', { ...attempt, job_status: 'running' });
  await pilot.get('pilot/get_job_status', { job_ids: [job.PandaID, 1] });
  await pilot.send('pilot/append_job_log', { ...attempt, offset: 0 }, upload);
  await user.get('job/get_log', { job_id: job.PandaID });
  const signature = 'AAAA.BBBB';
  await pilot.send('pilot/append_job_log', { ...attempt, offset: 0, signature }, upload);
  await user.get('job/get_log', { job_id: job.PandaID });
  await pilot.send('pilot/upload_job_file', { ...attempt, kind: 'log', name: job.logFile, signature }, upload);
  await user.get('job/get_log', { job_id: job.PandaID });
  const failure = { trans_exit_code: 3, pilot_error_code: 1305, pilot_error_diag: 'exit status 3' };
  await pilot.post('pilot/update_job', { ...attempt, job_status: 'failed', ...failure });
  await user.post('job/set_debug_mode', { job_id: job.PandaID, mode: true });
  await user.get('job/get_description', { job_ids: [job.PandaID] });
  const { data: files } = await user.get('job/get_files', { task_id: job.taskID });
  assert.equal(files.length, 1);
  for (const { job_id, attempt, name } of files) {
    await buffer(await user.open('job/get_file', { job_id, attempt, name }));
  }
  await user.get('creds/get_secret_deliveries', {});
}

async function administer(operator: Transport, connection: Connection): Promise<void> {
  await operator.post('admin/add_user', { name: 'bob' });
  await operator.post('admin/create_password_link', { name: 'bob' });
  await operator.post('admin/disable_user', { name: 'bob' });
  await operator.post('admin/enable_user', { name: 'bob' });
  await operator.post('admin/log_out_user', { name: 'bob' });
  await operator.get('admin/list_users', {});
  await operator.post('admin/add_queue', { name: 'another' });
  await operator.post('admin/set_queue', { name: 'another', allow_tls_secrets: true, state: 'paused' });
  await operator.post('admin/set_queue', { name: 'trusted', allow_tls_secrets: false });
  await operator.post('admin/add_queue', { name: 'unwanted' });
  await operator.post('admin/remove_queue', { name: 'unwanted' });
  await operator.get('admin/list_queues', {});
  await operator.post('admin/set_site_record', { name: 'another', record: 'a.b' });
  await operator.get('admin/get_queue_load', { queue: 'another' });
  const { data } = await operator.post('admin/create_pilot_token', { queue: 'another' });
  const joining = { token: parseJoinToken(data.token), queue: 'another', node: 'node1' };
  await (await prepareJoin(connection, joining))();
  await assert.rejects((await prepareJoin(connection, joining))(), /used already/);
  const { pilots, refused } = (await operator.get('admin/list_pilots', {})).data;
  assert.ok(refused[0]);
  await operator.post('admin/end_pilot', { pilot: pilots[0]?.id ?? '' });
  await operator.post('admin/add_launcher', { name: 'slurm', queues: ['another', 'default'] });
  await operator.get('admin/list_launchers', {});
  const launcher = await operator.post('admin/renew_launcher', { name: 'slurm' });
  await launch(connection, launcher.data.token);
  await operator.post('admin/remove_launcher', { name: 'slurm' });
}

async function launch(connection: Connection, token: string): Promise<void> {
  const launcher = createTransport({ ...connection, token: async () => token });
  const batch = { queue: 'default', batch_id: '4711' };
  assert.ok((await launcher.get('launcher/get_load', { queue: 'default' })).data.needs.length > 0);
  const { data } = await launcher.post('launcher/create_join_token', batch);
  assert.ok((await launcher.get('launcher/list_batch_jobs', { queue: 'default' })).data[0]);
  await launcher.post('launcher/withdraw_join_token', { queue: 'default', token_id: data.token_id });
  await launcher.post('launcher/report_end', { ...batch, reason: 'time limit reached' });
  await harvest(launcher);
  launcher.close();
}

async function harvest(launcher: Transport): Promise<void> {
  const harvester_id = 'harvester_slurm';
  const statistics = JSON.stringify({ managed: { SCORE: { running: 1 } } });
  await launcher.post('harvester/heartbeat', { harvester_id, data: {} });
  await launcher.post('harvester/acquire_commands', { harvester_id, n_commands: 20 });
  await launcher.post('harvester/acknowledge_commands', { command_ids: [1] });
  await launcher.post('harvester/add_dialogs', { harvester_id, dialogs: [{ diagID: 1 }] });
  await launcher.post('harvester/report_worker_statistics', { harvester_id, panda_queue: 'default', statistics });
  assert.deepEqual(Object.keys((await launcher.get('harvester/get_worker_statistics', {})).data), ['default']);
  const worker = { workerID: 1, batchID: '4711', computingSite: 'default', status: 'finished' };
  await launcher.post('harvester/update_workers', { harvester_id, workers: [worker] });
  await launcher.get('metaconfig/get_resource_types', {});
  await launcher.get('statistics/active_job_stats_by_site', {});
  await launcher.get('statistics/active_job_detailed_stats_by_site', {});
}

async function endOwnLogins(user: Transport): Promise<void> {
  const { data } = await user.get('login/list_logins', {});
  await user.post('login/end_login', { id: data.find(({ kind }) => kind === 'browser')?.id ?? '' });
  await user.post('login/end_all_logins', {});
  await user.post('login/change_password', { current: PASSWORD, password: 'another long password' });
}

type Connection = Parameters<typeof prepareJoin>[0];

async function endTasks(user: Transport, [one, two]: [one: number, two: number]): Promise<void> {
  await user.post('task/finish', { task_id: one });
  await user.post('task/kill', { task_id: two });
  await user.post('task/retry', { task_id: two });
  const forOne = (await user.get('creds/list_user_secrets', {})).data.find(({ name }) => name === 'FOR_ONE');
  await user.post('creds/delete_secret', { id: forOne?.id ?? '' });
  await assert.rejects(user.post('creds/delete_secret', { id: forOne?.id ?? '' }), /you have no secret with the id/);
  await user.post('creds/set_user_secrets', { key: 'TOKEN', value: null });
  await user.get('creds/get_secret_deliveries', {});
  await user.get('task/get_tasks_detailed_info_since', {});
}
