import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { transformationScript } from '../../src/server/routes/transformation-script.ts';
import { archive, type Entry } from '../pilot/archives.ts';
import { temporaryFolder } from '../pilot/folders.ts';

const PARTS_OF_SCRIPT = join(import.meta.dirname, '../../src/server/routes');
const SCRIPT = 'runPandaSecrets';
const SANDBOX = 'jobO.c0f8a68a-5d0a-4a7e-9d36-2f3c5f0f8f11.tar.gz';

/** A transformation that has ended. */
export interface Ran {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Work {
  command: string;
  /** Name on the wire -> value: what the pilot wrote; nothing when left out. */
  secrets?: Record<string, string>;
  sandbox?: Entry[] | Buffer;
  /** The server that the job is told to fetch it from, when not the one that has it. */
  sourceUrl?: string;
  /** Where the server that has it sends those who ask for it. */
  movedTo?: string;
  /** Name in the job -> name to keep it under. */
  outputs?: Record<string, string>;
  runDirectory?: string;
  /** In which forms the command finds its secrets. */
  secretsAs?: string;
  leakedOutputs?: string;
  environment?: Record<string, string>;
  /** The stack limit that it runs under. */
  stackKilobytes?: number;
  /** Called when it has begun to print. */
  onOutput?: (kill: (signal: NodeJS.Signals) => void) => void;
}

/** A pilot's working directory, in which the transformation runs as that pilot runs it. */
export interface Node {
  /** The pilot's directory for this job. */
  directory: string;
  run(work: Work): Promise<Ran>;
  /** The files in the directory now. */
  files(): Promise<string[]>;
}

export async function openNode(t: TestContext): Promise<Node> {
  const root = await temporaryFolder(t);
  const directory = join(root, 'PanDA_Pilot-1');
  await mkdir(directory);
  await writeFile(join(root, SCRIPT), transformationScript(PARTS_OF_SCRIPT));
  return {
    directory,
    async run({ sandbox = [], secrets, movedTo, sourceUrl, ...work }) {
      await using server = await serveSandbox(Array.isArray(sandbox) ? archive(...sandbox) : sandbox, movedTo);
      if (secrets) await writeFile(join(directory, 'panda_secrets.json'), JSON.stringify(secrets));
      return await start(directory, sourceUrl ?? server.url, work);
    },
    files: async () => (await readdir(directory)).sort(),
  };
}

/** Through a shell, which the pilot hands the job's parameters to. */
function start(
  directory: string,
  url: string,
  work: Omit<Work, 'sandbox' | 'secrets' | 'sourceUrl' | 'movedTo'>,
): Promise<Ran> {
  const {
    command,
    outputs = {},
    runDirectory = '.',
    secretsAs,
    leakedOutputs,
    environment = {},
    stackKilobytes,
  } = work;
  const { onOutput } = work;
  const names = Object.entries(outputs).map(([name, target]) => `'${name}': '${target}'`);
  const parameters =
    (secretsAs === undefined ? '' : `--secretsAs ${secretsAs} `) +
    (leakedOutputs === undefined ? '' : `--leakedOutputs ${leakedOutputs} `) +
    `-j "" --sourceURL ${url} -r ${runDirectory} -a ${SANDBOX} -o "{${names.join(', ')}}" ` +
    `-p "${encodeURIComponent(command).replaceAll("'", '%27')}"`;
  const limit = stackKilobytes === undefined ? '' : `ulimit -s ${stackKilobytes}; `;
  const child = spawn('/bin/sh', ['-c', `${limit}exec python3 '${join(directory, '..', SCRIPT)}' ${parameters}`], {
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory, ...environment },
  });
  const ran: Ran = { status: null, signal: null, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (name === 'stdout' && ran.stdout === '') onOutput?.((signal) => child.kill(signal));
      ran[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ ...ran, status, signal }));
  });
}

async function serveSandbox(content: Buffer, movedTo: string | undefined): Promise<AsyncDisposable & { url: string }> {
  const server: Server = createServer((request, response) => {
    if (movedTo !== undefined) response.writeHead(302, { location: movedTo }).end();
    else if (request.url === `/cache/${SANDBOX}` && !request.headers.authorization) response.end(content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
