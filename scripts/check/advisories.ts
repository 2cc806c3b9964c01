import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ShippedPackage } from '../build/shipped-packages.ts';

/** The answer of a registry: the advisories for what is shipped, or the reason why there is none. */
export type Advisories = { answered: true; lines: string[] } | { answered: false; reason: string };

/**
 * Asks the configured npm registry for known advisories on packages that are shipped. `npm audit` of the project itself tells
 * nothing of them: they are development dependencies, since the published package has no others.
 *
 * @param root the folder with the `.npmrc` that holds for the project
 */
export async function advisoriesFor(packages: readonly ShippedPackage[], root: string): Promise<Advisories> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-audit-'));
  try {
    writePackageTree(packages, folder);
    if (existsSync(join(root, '.npmrc'))) copyFileSync(join(root, '.npmrc'), join(folder, '.npmrc'));
    return readAnswer(await audit(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A package with these as its dependencies, as a lockfile says it; nothing is installed. */
function writePackageTree(packages: readonly ShippedPackage[], folder: string): void {
  // By aliases, so that two versions of one package stand beside each other.
  const aliased = packages.map(({ name, version }, place) => ({ alias: `shipped-${place}`, name, version }));
  const dependencies = Object.fromEntries(
    aliased.map(({ alias, name, version }) => [alias, `npm:${name}@${version}`] as const),
  );
  const manifest = { name: 'shipped', version: '0.0.0', private: true, dependencies };
  const installed = aliased.map(({ alias, name, version }) => [`node_modules/${alias}`, { name, version }] as const);
  const lock = { ...manifest, lockfileVersion: 3, packages: { '': manifest, ...Object.fromEntries(installed) } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
}

async function audit(folder: string): Promise<string> {
  const args = ['audit', '--json', '--audit-level=low', '--fetch-retries=0', '--fetch-timeout=20000'];
  const child = spawn('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  child.on('error', () => {}); // Without npm there is no answer either.
  return await text(child.stdout);
}

interface Report {
  vulnerabilities?: Record<string, { via: (string | { title: string; url: string; name: string; range: string })[] }>;
  message?: string;
  error?: { summary?: string };
}

function readAnswer(output: string): Advisories {
  const { vulnerabilities, message, error } = (output === '' ? {} : JSON.parse(output)) as Report;
  if (!vulnerabilities) return { answered: false, reason: message || error?.summary || 'npm said nothing' };
  const found = Object.values(vulnerabilities).flatMap(({ via }) => via.filter((each) => typeof each !== 'string'));
  const lines = found.map(({ name, range, title, url }) => `${name} ${range}: ${title} (${url})`);
  return { answered: true, lines: [...new Set(lines)].sort() };
}
