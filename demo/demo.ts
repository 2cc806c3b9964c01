// `npm run demo`: a secret travels from its owner to a job, through the real programs, on one machine.
// `--programs FOLDER` takes the programs from there instead of from the tree.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { createStage } from './stage.ts';

const { values } = parseArgs({ options: { programs: { type: 'string' } } });
const programs = resolve(values.programs ?? join(import.meta.dirname, '..', 'bin'));

const NAMES = ['MY_SECRET', 'MY_SECRET_SER', 'MY_SECRET_BIN'];
const VALUE = 'random_string';
const TOKEN = 'sealed_string';
const SERIALISED = '{"a_key": "a_value"}';
const binary = randomBytes(48);
const python = spawnSync('python3', ['--version']).status === 0;
const job = python ? ['my_job.py', 'python3 my_job.py'] : ['my_job.mjs', 'node my_job.mjs'];

const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-demo-'));
const work = join(folder, 'work');
const data = join(folder, 'server');
/** As a command in the work directory names it. */
const siteKey = '../site/site.key';
const environment: NodeJS.ProcessEnv = {
  // Nothing of the user's own configuration takes part.
  PANDA_CONFIG_ROOT: join(folder, 'home'),
  OIDC_AUTH_TOKEN_FILE: join(folder, 'alice.token'),
  PANDA_AUTH_ID_TOKEN: undefined,
  PANDA_AUTH_VO: undefined,
  PANDACACHE_URL: undefined,
  PANDA_SECRETS_DATA: data,
};
const stage = createStage(work, programs, environment);

try {
  await story();
  console.log('\ndemo: ok');
} catch (error) {
  stage.abandon();
  console.error(`\ndemo: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function story(): Promise<void> {
  const [file = '', command = ''] = job;
  mkdirSync(work);
  copyFileSync(join(import.meta.dirname, file), join(work, file));
  writeFileSync(join(work, 'some_binary_file'), binary);
  writeFileSync(join(work, '.prunignore'), 'some_binary_file\n');
  if (!python) stage.tell('There is no python3 on this machine, so the job of the manual page runs in Node.');

  stage.tell('An operator starts a server (SQLite, in a temporary folder, on a free port) and adds a user.');
  const [, url = ''] = await stage.start('panda-secrets serve --port 0', /listening on (\S+)/);
  console.log(`  listening on ${url}`);
  environment['PANDA_URL'] = url;
  environment['PANDA_URL_SSL'] = url;
  await stage.run('panda-secrets user add alice');
  await stage.run(`panda-secrets token alice > ${join(folder, 'alice.token')}`);

  stage.tell('Alice keeps three secrets: a plain one, a JSON document and a binary file in base64.');
  await stage.run(`pbook set_secret MY_SECRET ${VALUE}`);
  await stage.run(`pbook set_secret MY_SECRET_SER '${SERIALISED}'`);
  await stage.run("base64 < some_binary_file | tr -d '\\n' | pbook set_secret MY_SECRET_BIN -");
  const listed = await stage.run('pbook list_secrets');
  for (const name of NAMES) assert.ok(listed.stdout.includes(name), `list_secrets does not show ${name}`);

  stage.tell('The server keeps ciphertext of them:');
  showCiphertext();
  searchServer();

  stage.tell('She submits the directory as a task whose jobs get her secrets.');
  const submitted = await stage.run(
    `prun --exec "${command}" --outDS user.alice.demo --outputs result.txt --useSecrets --noBuild`,
  );
  const task = /jediTaskID=(\d+)/.exec(submitted.output)?.[1];
  assert.ok(task, 'prun printed no task id');

  const hindrance = sealingHindrance();
  const sealed = hindrance === undefined ? await sealedTask() : undefined;
  if (hindrance !== undefined) stage.tell(`A sealed secret is left out here: ${hindrance}.`);

  stage.tell('A compute node: a pilot offers a fresh key, opens the secrets, runs the job and cleans up.');
  await stage.run(`panda-secrets pilot-token --queue default > ${join(folder, 'pilot.token')}`);
  const node = join(folder, 'node');
  const jobs = sealed ? `--jobs 2 --slots 2 --site-key ${siteKey}` : '--jobs 1';
  await stage.run(
    `panda-pilot --queue default --token-file ${join(folder, 'pilot.token')} ${jobs} --workdir ${node} --allow-root`,
    { waitFor: 'the job runs' },
  );
  assert.ok(!filesBelow(node).some((path) => contains(readFileSync(path))), 'the node still has a secret');

  stage.tell('She gets the log, with every secret masked, and the output.');
  await stage.run('pbook show');
  const log = await stage.run(`pbook logs ${task}`);
  assert.ok(log.stdout.includes('***'), 'the log has no masked value');
  assert.ok(!contains(Buffer.from(log.stdout)), 'the log shows a secret');
  if (sealed) {
    const { stdout } = await stage.run(`pbook logs ${sealed}`);
    assert.ok(stdout.includes('{"MY_TOKEN":"***"}'), 'the job did not find the sealed secret');
  }
  await stage.run(`pbook get_outputs ${task}`);
  const output = filesBelow(work).find((path) => path.endsWith('result.txt'));
  assert.ok(output, 'get_outputs brought no result.txt');
  await stage.run(`cat ${relative(work, output)}`);
  const digest = createHash('sha256').update(binary).digest('hex');
  assert.ok(readFileSync(output, 'utf8').includes(digest), 'the job did not get the binary secret whole');

  stage.tell('And deletes her secrets.');
  await stage.run('pbook delete_secret MY_SECRET_SER');
  await stage.run('pbook delete_all_secrets --yes');
  await stage.run('pbook list_secrets');
  await stage.stop();
  searchServer();
}

/** A secret that the server cannot open, and a task that gets it. @returns the task's number */
async function sealedTask(): Promise<string> {
  stage.tell('The site that runs the nodes has an identity, and makes a key for them.');
  await stage.run('panda-pilot site-identity new --out ../identity.json > ../site-id');
  await stage.run(`panda-pilot site-key new --queue default --out ${siteKey} --identity ../identity.json`);
  await stage.run(`panda-secrets queue site-key default ${siteKey}.pub`);
  stage.tell('Alice makes a key of her own, trusts the site, and seals a secret: the server cannot open it.');
  await stage.run('pbook keys init --yes > ../recovery-code');
  await stage.run('pbook keys trust default=$(cat ../site-id)');
  await stage.run(`pbook set_secret MY_TOKEN ${TOKEN}`);
  const { output } = await stage.run(
    'prun --exec "cat panda_secrets.json; echo" --outDS user.alice.sealed --useSecrets=MY_TOKEN --site default --noBuild',
  );
  const task = /jediTaskID=(\d+)/.exec(output)?.[1];
  assert.ok(task, 'prun printed no task id');
  return task;
}

/** The reason why no node of this machine may have a site's key. */
function sealingHindrance(): string | undefined {
  const isolates = ['--unshare-user-try', '--unshare-pid', '--ro-bind', '/', '/', '--proc', '/proc', 'true'];
  if (spawnSync('bwrap', isolates).status !== 0) return 'jobs cannot be isolated (bubblewrap)';
  const closes = "process.exit(process.allowedNodeEnvironmentFlags.has('--experimental-ffi') ? 0 : 1)";
  return spawnSync('node', ['-e', closes]).status === 0 ? undefined : 'this Node cannot close its memory (Node 26 can)';
}

/** Prints what stands in the database for the first secret. */
function showCiphertext(): void {
  const database = new DatabaseSync(join(data, 'panda.db'), { readOnly: true });
  const row = database
    .prepare(
      `select name_ciphertext, ciphertext from secrets join secret_versions on secret_id = id
       where version = current_version order by secrets.created_at limit 1`,
    )
    .get() as { name_ciphertext: Uint8Array; ciphertext: Uint8Array };
  database.close();
  console.log(`  name   ${Buffer.from(row.name_ciphertext).toString('hex').slice(0, 88)}...`);
  console.log(`  value  ${Buffer.from(row.ciphertext).toString('hex').slice(0, 88)}...`);
}

/** Looks for every name and value in every byte that the server has written. */
function searchServer(): void {
  const files = filesBelow(data);
  let bytes = 0;
  for (const path of files) {
    const content = readFileSync(path);
    bytes += content.length;
    const sandbox = path.startsWith(join(data, 'blobs')); // The user's own directory: the job in it names its secrets.
    const named = !sandbox && NAMES.some((name) => content.includes(name));
    assert.ok(!named && !contains(content), `${relative(data, path)} holds a secret`);
  }
  console.log(`  searched ${bytes} bytes in ${files.length} files of the server: no name, no value, no base64 of one`);
}

/** True when one of the values stands in `content`, as it is or in base64. */
function contains(content: Buffer): boolean {
  const values = [Buffer.from(VALUE), Buffer.from('a_value'), Buffer.from(TOKEN), binary];
  return values.some(
    (value) => content.includes(value) || content.includes(value.toString('base64').replace(/=+$/, '')),
  );
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
