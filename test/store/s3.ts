import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort } from '../free-port.ts';

/** A storage that speaks S3, a process of its own, with one bucket. */
export interface TestStorage {
  /** `http://127.0.0.1:PORT`, or https. */
  endpoint: string;
  /** A place in its bucket, for the setting `blobs`. */
  place(prefix?: string): string;
  /** The folder that has the objects as files, of the bucket. */
  folder: string;
  /** Ends it at once; what was acknowledged stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

const PATIENCE_MS = 60_000;
const ROOT = { id: 'panda-test', key: 'not a secret of anybody' };

/** The credentials of {@link TestStorage}, as variables of a program. */
export const S3_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: ROOT.id,
  AWS_SECRET_ACCESS_KEY: ROOT.key,
  AWS_EC2_METADATA_DISABLED: 'true',
};

/** False, or why tests against a storage are skipped. */
export const noS3 =
  spawnSync('versitygw', ['--version'], { stdio: 'ignore' }).status === 0
    ? false
    : 'versitygw is not installed (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)';

/** Starts versitygw on a folder; the test's end ends it. This process has its credentials from then on. */
export async function startStorage(t: TestContext, tls?: { cert: string; key: string }): Promise<TestStorage> {
  const root = mkdtempSync(join(tmpdir(), 'panda-s3-'));
  for (const name of ['buckets', 'meta', 'users']) mkdirSync(join(root, name));
  Object.assign(process.env, S3_ENVIRONMENT);
  const port = await freePort();
  let gateway: ChildProcess | undefined;

  async function start(): Promise<void> {
    const words = ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', '--iam-dir', join(root, 'users')];
    if (tls) words.push('--cert', tls.cert, '--key', tls.key);
    gateway = spawn('versitygw', [...words, 'posix', '--sidecar', join(root, 'meta'), join(root, 'buckets')], {
      env: { PATH: process.env['PATH'], ROOT_ACCESS_KEY_ID: ROOT.id, ROOT_SECRET_ACCESS_KEY: ROOT.key },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    gateway.stderr?.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    for (const giveUpAt = performance.now() + PATIENCE_MS; !(await answers(port)); ) {
      if (gateway.exitCode !== null || performance.now() > giveUpAt)
        throw new Error(`versitygw did not start: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function stop(): Promise<void> {
    const ended = gateway;
    gateway = undefined;
    if (ended?.kill('SIGKILL')) await once(ended, 'exit');
  }

  t.after(async () => {
    await stop();
    rmSync(root, { recursive: true, force: true });
  });
  await start();
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  if (tls) mkdirSync(join(root, 'buckets', 'panda'));
  else {
    const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1' });
    await client.send(new CreateBucketCommand({ Bucket: 'panda' }));
    client.destroy();
  }
  return {
    endpoint,
    place: (prefix = 'site') => `s3://panda/${prefix}?endpoint=${endpoint}`,
    folder: join(root, 'buckets', 'panda'),
    stop,
    start,
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
