// `npm run package`: builds, makes the tarball that is published, checks what is in it, installs it into an empty folder and
// runs the demo with the programs from there, on the pinned Node and on the oldest one that is supported.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { list, type ReadEntry } from 'tar';
import { type PackedFile, problemsOf } from './package/contents.ts';

/** The most that the tarball may take. */
const MAX_PACKAGE_BYTES = 5_000_000;
/** A demo that takes longer hangs. */
const DEMO_MILLISECONDS = 300_000;

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-package-'));

try {
  run(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'scripts/build.ts')]);
  const tarball = pack();
  await check(tarball);
  const programs = install(tarball);
  demo(programs, dirname(process.execPath));
  const older = oldestNode();
  if (older) demo(programs, older);
  console.log(`\npackage: ok: ${basename(tarball)}`);
} catch (error) {
  console.error(`\npackage: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @returns the tarball, which stays in the clone's folder */
function pack(): string {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--loglevel=error'])) as { filename: string }[];
  if (!packed) throw new Error('npm pack made nothing');
  return join(root, packed.filename);
}

async function check(tarball: string): Promise<void> {
  const reading: Promise<PackedFile>[] = [];
  const onReadEntry = (entry: ReadEntry) => {
    reading.push(buffer(entry).then((content) => ({ path: entry.path.replace(/^package\//, ''), content })));
  };
  await list({ file: tarball, onReadEntry });
  const files = await Promise.all(reading);
  const problems = problemsOf(files, root);
  const { size } = statSync(tarball);
  if (size > MAX_PACKAGE_BYTES) problems.push(`it has ${size} bytes, and may have ${MAX_PACKAGE_BYTES}`);
  if (problems.length > 0) throw new Error(`the tarball is not what it should be:\n${problems.join('\n')}`);
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  console.log(
    `${basename(tarball)}: ${size} bytes; ${files.length} files, ${bytes} bytes unpacked, nothing else in it`,
  );
}

/** Installs the tarball without a registry. @returns the folder of the installed programs */
function install(tarball: string): string {
  const site = join(folder, 'site');
  run('npm', ['install', '--prefix', site, '--offline', '--no-audit', '--no-fund', '--loglevel=error', tarball]);
  const installed = readdirSync(join(site, 'node_modules')).filter((name) => !name.startsWith('.'));
  if (installed.join() !== 'panda-secrets') throw new Error(`npm also installed ${installed.join(', ')}`);
  return join(site, 'node_modules', '.bin');
}

/** @returns the folder of the oldest Node that the package allows; none where the registry has none for this platform */
function oldestNode(): string | undefined {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } };
  const version = `${engines.node.replace(/^>=/, '')}.0.0`;
  const platformPackage = basename(dirname(dirname(process.execPath)));
  const site = join(folder, 'oldest');
  const bin = join(site, 'node_modules', platformPackage, 'bin');
  const args = ['install', '--prefix', site, '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', [...args, `${platformPackage}@${version}`], { cwd: folder });
  if (status === 0 && existsSync(join(bin, 'node'))) return bin;
  console.log(`\nNode ${version}: not tried, the registry has no package of it for this machine`);
  return undefined;
}

function demo(programs: string, node: string): void {
  const path = [node, process.env['PATH']].join(delimiter);
  console.log(`\nthe demo with the installed programs, on Node ${run(join(node, 'node'), ['--version']).trim()}`);
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'demo/demo.ts'), '--programs', programs];
  const { status } = spawnSync(process.execPath, args, {
    cwd: folder,
    stdio: 'inherit',
    timeout: DEMO_MILLISECONDS,
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) throw new Error('the demo failed');
}

/** @returns its output */
function run(command: string, args: string[]): string {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`);
  return stdout;
}
