import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { runCommand } from '../run-command.ts';

/** A demo that takes longer hangs. */
const DEMO_MILLISECONDS = 300_000;

/**
 * Installs the tarball into an empty folder and runs the demo with the programs from there, on the pinned Node and on the oldest one that
 * is supported.
 *
 * @throws {Error} naming what failed
 */
export function tryTarball(root: string, tarball: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-package-'));
  try {
    const programs = install(tarball, folder);
    for (const node of [dirname(process.execPath), oldestNode(root, folder)]) {
      if (node !== undefined) demo(root, { programs, node, folder });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Installs the tarball without a registry. @returns the folder of the installed programs */
function install(tarball: string, folder: string): string {
  const site = join(folder, 'site');
  const quiet = ['--offline', '--no-audit', '--no-fund', '--loglevel=error'];
  runCommand(['npm', 'install', '--prefix', site, ...quiet, tarball], { cwd: folder });
  const installed = readdirSync(join(site, 'node_modules')).filter((name) => !name.startsWith('.'));
  if (installed.join() !== 'panda-secrets') throw new Error(`npm also installed ${installed.join(', ')}`);
  return join(site, 'node_modules', '.bin');
}

/** @returns the folder of the oldest Node that the package allows; none where the registry has none for this platform */
function oldestNode(root: string, folder: string): string | undefined {
  const given = process.env['PANDA_TEST_NODE_24'];
  if (given) return dirname(given);
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

function demo(root: string, { programs, node, folder }: { programs: string; node: string; folder: string }): void {
  const path = [node, process.env['PATH']].join(delimiter);
  console.log(
    `\nthe demo with the installed programs, on Node ${runCommand([join(node, 'node'), '--version']).trim()}`,
  );
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'demo/demo.ts'), '--programs', programs];
  const { status } = spawnSync(process.execPath, args, {
    cwd: folder,
    stdio: 'inherit',
    timeout: DEMO_MILLISECONDS,
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) throw new Error('the demo failed');
}
