import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { PROGRAMS } from '../../scripts/build/programs.ts';
import { type Client, createClient } from '../../src/client/client.ts';
import { buildTaskParameters, type TaskOptions } from '../../src/client/task-parameters.ts';
import { createTransport } from '../../src/client/transport.ts';
import { parseTaskParameters } from '../../src/panda/task-parameters.ts';
import { ANSWER_HEADER, proveAnswer } from '../../src/protocol/answer-proof.ts';
import type { ListedJobFile } from '../../src/protocol/calls/job.ts';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { parseJobParameters } from '../../src/protocol/job-parameters.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { answerKeyOf, formatJoinToken, type JoinToken, joinKeyOf } from '../../src/protocol/join.ts';
import { type WireName, wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { sealEnvelope } from '../../src/sealed/envelope.ts';
import { type GrantContent, makeGrant } from '../../src/sealed/grant.ts';
import { readSiteRecord, type SiteRecord } from '../../src/sealed/site-record.ts';
import type { UserKeys } from '../../src/sealed/user-root.ts';
import { programWords } from '../programs.ts';
import { userNumber } from '../sealed/samples.ts';
import { sealDelivery } from '../sealing/seal.ts';
import { type Answer, type Middle, type Request, startMiddle } from '../server/middle.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { archive } from './archives.ts';
import { temporaryFolder } from './folders.ts';

/** Looks like a secret, and is found wherever it stands. */
export const TOKEN_VALUE = 'w7Kq-needle-Zt93xP';
export const CERTIFICATE = 'certificate-needle-Qm41';
const TOKEN = wireName('TOKEN');
const FILE = wireName('cert.pem', 'file');
const VERSION = 5;

/** A job as the server gives it, with the names and values of what comes sealed to its pilot. */
export interface Given {
  job: { -readonly [Field in keyof PilotJob]: PilotJob[Field] };
  delivered: [name: string, value: string][];
}
/** Changes what a pilot is given. */
export type Act = (given: Given) => void | Promise<void>;

export interface SealedTask {
  taskId: number;
  grant: string;
  content: GrantContent;
}

export interface Submission {
  task?: Partial<TaskOptions>;
  /** Changes what the owner signs. */
  grant?: (content: GrantContent) => GrantContent;
  /** Makes another word of what the owner would sign. */
  word?: (content: GrantContent) => string;
  act?: Act;
  /** Changes the sandbox on its way to the pilot. */
  sandbox?: (bytes: Buffer) => Buffer;
  /** The server's refusal in the place of the sandbox. */
  refusal?: { status: number; message: string };
}

/** A user whose secrets are sealed, a site that they trust, and a server between them that does what it likes. */
export interface HostileServer {
  server: TestServer;
  middle: Middle;
  alice: Client;
  keys: UserKeys;
  /** The folder of the site's key, and its file. */
  keyFolder: string;
  keyFile: string;
  record: SiteRecord;
  /** A sealed value of alice's. */
  seal(
    name: WireName,
    value: string,
    change?: { version?: number; sites?: SiteRecord[]; keys?: UserKeys },
  ): Promise<string>;
  submit(submission?: Submission): Promise<SealedTask>;
  /** Runs `panda-pilot` as a process until it ran so many jobs. */
  runPilot(
    jobs: number,
    options?: readonly string[],
    env?: Record<string, string>,
  ): Promise<{ status: number | null; said: string }>;
  /** The reason that the server was told for the first job of a task; empty where it finished. */
  diagnosisOf(taskId: number): Promise<string>;
  filesOf(taskId: number): Promise<{ listed: ListedJobFile; content: Buffer }[]>;
}

/** Runs `panda-pilot` with arguments. @param node another Node than this one, which runs the source */
export async function pilot(
  args: readonly string[],
  { input = '', env = {}, node }: { input?: string; env?: Record<string, string>; node?: string } = {},
): Promise<{ status: number | null; said: string; printed: string }> {
  const words = node === undefined ? programWords('panda-pilot') : ([node, PROGRAMS['panda-pilot']] as const);
  const child = spawn(words[0], [...words.slice(1), ...args], { env: { PATH: process.env['PATH'], ...env } });
  child.stdin.end(input);
  const output = [text(child.stderr), text(child.stdout)] as const;
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, said: await output[0], printed: await output[1] };
}

/** @param clock the server's */
export async function openHostileServer(
  t: TestContext,
  { clock = Date.now }: { clock?: () => number } = {},
): Promise<HostileServer> {
  const server = await startServer(t, { settings: { trustedProxies: ['127.0.0.1'] }, clock });
  const middle = await startMiddle(t, server.url);
  const folder = await temporaryFolder(t);
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, middle.ca);

  const keyFolder = join(folder, 'shared', 'keys');
  const keyFile = join(keyFolder, 'site.key');
  mkdirSync(join(folder, 'shared'), { mode: 0o755 });
  const identity = join(folder, 'identity.json');
  for (const args of [
    ['site-identity', 'new', '--out', identity],
    ['site-key', 'new', '--queue', 'default', '--out', keyFile, '--identity', identity],
  ]) {
    const { status, said } = await pilot(args);
    assert.equal(status, 0, said);
  }
  const record = readSiteRecord(readFileSync(`${keyFile}.pub`, 'utf8').trim());

  const keys = await userNumber(1);
  const token = await server.userToken('alice');
  const connection = { url: server.url, vo: 'panda', token: async () => token };
  const alice = createClient(connection);
  const transport = createTransport(connection);
  t.after(() => {
    alice.close();
    transport.close();
  });
  const seal: HostileServer['seal'] = (name, value, { version = VERSION, sites = [record], keys: by = keys } = {}) =>
    sealEnvelope(by, { name, version, value: new Plaintext(value), sites });
  const kept = new Map([
    [FILE, await seal(FILE, Buffer.from(CERTIFICATE).toString('base64'))],
    [TOKEN, await seal(TOKEN, TOKEN_VALUE)],
  ]);
  for (const [name, value] of kept) await alice.setSecret(name, value);

  const acts = new Map<number, Act>();
  const sandboxes = new Map<string, Pick<Submission, 'sandbox' | 'refusal'>>();
  const joinTokens = new Map<string, JoinToken>();
  middle.onAnswer = async (answer, request) => {
    const sandbox = /^\/cache\/([^?]+)/.exec(request.path)?.[1];
    if (sandbox) {
      const { sandbox: change, refusal } = sandboxes.get(sandbox) ?? {};
      answer.body = change?.(answer.body) ?? answer.body;
      if (!refusal) return;
      answer.status = refusal.status;
      answer.headers['content-type'] = 'application/json';
      answer.body = Buffer.from(JSON.stringify({ success: false, message: refusal.message, data: null }));
      proveAgain(answer, request);
      return;
    }
    if (!request.path.startsWith('/api/v1/pilot/acquire_jobs')) return;
    const said = JSON.parse(answer.body.toString());
    for (const job of said.data?.jobs ?? []) {
      const act = acts.get(job.taskID);
      if (!act) continue;
      const binding = { jobId: job.PandaID, attempt: job.attemptNr, ownerId: job.sealedSecrets.owner };
      const given: Given = { job, delivered: [...kept] };
      await act(given);
      const fields = given.delivered.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
      const { sealing_keys: offers } = JSON.parse(request.body.toString());
      const { pilotId } = sessionOf(middle);
      job.sealedSecrets = await sealDelivery(offers, { ...binding, pilotId }, Buffer.from(`{${fields.join(', ')}}`));
    }
    answer.body = Buffer.from(JSON.stringify(said));
    proveAgain(answer, request);
  };

  /** The one who runs the server has the keys by which its answers are proven. */
  function proveAgain(answer: Answer, request: Request): void {
    const { pilotId, joining } = sessionOf(middle);
    const joinToken = joinTokens.get(joining.token_id);
    assert.ok(joinToken);
    const key = createSecretKey(answerKeyOf(joinKeyOf(joinToken), joining.mac, pilotId));
    const { jti } = JSON.parse(
      Buffer.from(String(request.headers['dpop']).split('.')[1] ?? '', 'base64url').toString(),
    );
    const proof = { jti, status: answer.status, body: answer.body };
    answer.headers[ANSWER_HEADER] = proveAnswer(key, proof, clock());
  }

  return {
    server,
    middle,
    alice,
    keys,
    keyFolder,
    keyFile,
    record,
    seal,

    async submit({
      task = {},
      grant: change = (signed: GrantContent) => signed,
      word,
      act,
      sandbox: changeSandbox,
      refusal,
    } = {}) {
      const content = archive(
        { path: './', type: 'Directory', mode: 0o755 },
        { path: './run.sh', content: RUN_SCRIPT },
        { path: './nonce', content: randomUUID() },
      );
      const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, content);
      sandboxes.set(sandbox.fileName, {
        ...(changeSandbox && { sandbox: changeSandbox }),
        ...(refusal && { refusal }),
      });
      const options = {
        exec: `sh run.sh ${keyFolder}`,
        outDataset: `user.alice.${randomUUID().slice(0, 8)}`,
        outputs: ['out.txt'],
        jobs: 1,
        useSecrets: true,
        secretNames: [...kept.keys()],
        maxAttempts: 1,
        commandLine: 'prun',
        ...task,
      };
      const parameters = {
        ...buildTaskParameters(options, 'panda', { ...sandbox, origin: middle.url }),
        sealed: true,
      };
      const { taskId } = await alice.submitTask(parameters);
      const { template } = parseTaskParameters(parameters);
      const first = splitJob(template, { taskId, serial: 1 });
      const granted = change({
        task: taskId,
        template: {
          parameters: template.parameters.map(({ text: piece, firstNumber }) => ({ text: piece, firstNumber })),
          outputs: [...template.outputs],
          log: template.log,
          sourceUrl: template.sourceUrl,
          sandboxSha256: sandboxDigest(content),
          secretForms: [...parseJobParameters(first.parameters).secretForms],
          maxWalltimeSeconds: template.maxWalltimeSeconds,
          coreCount: template.coreCount,
          memory: template.memory,
          disk: template.disk,
        },
        jobs: options.jobs,
        attempts: options.maxAttempts ?? 1,
        sites: [record.identity],
        secrets: [...kept.keys()].map((name) => ({ name, atLeast: VERSION })),
        results: null,
        end: Math.floor(Date.now() / 1000) + 3600,
      });
      const grant = word ? word(granted) : makeGrant(keys.signer, granted, randomBytes(16));
      if (act) acts.set(taskId, act);
      await transport.post('task/grant', { task_id: taskId, grant });
      return { taskId, grant, content: granted };
    },

    async runPilot(jobs, options = [], env = {}) {
      const joinToken = await server.joinToken();
      joinTokens.set(joinToken.id, joinToken);
      const { status, said } = await pilot(
        [
          ...['--queue', 'default', '--token-file', '-', '--server', middle.url, '--jobs', String(jobs)],
          ...['--workdir', join(folder, 'pilots'), '--site-key', keyFile, '--idle-exit', '60', ...options],
        ],
        { input: formatJoinToken(joinToken), env: { NODE_EXTRA_CA_CERTS: ca, ...env } },
      );
      return { status, said };
    },

    async diagnosisOf(taskId) {
      const [job] = await alice.getJobDescription((await alice.getJobIds(taskId)).slice(0, 1));
      assert.ok(job);
      return job.jobStatus === 'finished' ? '' : `${job.pilotErrorDiag}`;
    },

    async filesOf(taskId) {
      return await Promise.all(
        (await alice.getJobFiles(taskId)).map(async (listed) => ({
          listed,
          content: await buffer(await alice.getJobFile(listed)),
        })),
      );
    },
  };
}

/** It looks for the site's key in $1, tells the digests of what it was given, and prints a value. */
export const RUN_SCRIPT = `
{ ls -A "$1"; cat "$1/site.key" "$1/site.key.pub"; sha256sum < panda_secrets.json; sha256sum < cert.pem; } > out.txt 2>&1
echo "the value is $TOKEN"
sleep "\${SLEEP:-0}"
`;

function sandboxDigest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The last pilot that joined. */
function sessionOf(middle: Middle): { pilotId: string; joining: { token_id: string; mac: string } } {
  const { body, answer } = middle.last('pilot/join');
  return { pilotId: JSON.parse(answer.body.toString()).data.pilot_id, joining: JSON.parse(body.toString()) };
}
