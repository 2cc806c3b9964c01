import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleInOneFile } from './bundles.ts';

/** Flags with which a pilot starts anew where it was started without them (`files/process-memory.ts`): here they are built in. */
const NODE_FLAGS = ['--experimental-ffi', '--disable-sigusr1', '--disable-warning=ExperimentalWarning'];

export interface SingleFileOptions {
  root: string;
  /** The file to write. */
  output: string;
  /** A Node of the same version for another machine; the one that runs this when left out. What V8 has compiled is for that one alone. */
  executable?: string | undefined;
}

/**
 * Makes `panda-pilot` one executable: Node itself, with the bundle and what V8 makes of it inside (nodejs.org, "Single executable
 * applications"). NODE_OPTIONS of the node it runs on do not count.
 *
 * @returns the files that the bundle is made of, relative to `root`
 * @throws {Error} when this Node makes none
 */
export async function buildSingleFile({ root, output, executable }: SingleFileOptions): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-single-file-'));
  try {
    const main = join(folder, 'panda-pilot.mjs');
    const inputs = await bundleInOneFile('panda-pilot', root, main);
    const config = join(folder, 'sea.json');
    mkdirSync(dirname(output), { recursive: true });
    const node = stripped(executable ?? process.execPath, join(folder, 'node'));
    const settings = {
      main,
      mainFormat: 'module',
      output,
      executable: node,
      disableExperimentalSEAWarning: true,
      useCodeCache: executable === undefined,
      execArgv: NODE_FLAGS,
      execArgvExtension: 'none',
    };
    writeFileSync(config, JSON.stringify(settings));
    const { status, stderr } = spawnSync(process.execPath, [`--build-sea=${config}`], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`Node ${process.versions.node} made no single executable: ${stderr.trim()}`);
    return inputs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A copy without what only debuggers read, a fifth of it, where there is a program that takes that away. */
function stripped(node: string, copy: string): string {
  return spawnSync('strip', ['-o', copy, node]).status === 0 ? copy : node;
}

/** Why this Node makes none; `undefined` when it does. */
export function whyNoSingleFile(): string | undefined {
  if (process.platform !== 'linux') return `it is for Linux, and this is ${process.platform}`;
  const { stdout } = spawnSync(process.execPath, ['--help'], { encoding: 'utf8' });
  return stdout.includes('--build-sea') ? undefined : `Node ${process.versions.node} makes no single executables`;
}

/** The licence of the Node that is inside, and of what that contains. */
export function licenceOfNode(root: string): string {
  return readFileSync(join(root, 'node_modules', `node-linux-${process.arch}`, 'LICENSE'), 'utf8');
}

/** The machine that an executable is for, as its header says (ELF, `e_machine`): x64, arm64. */
export function machineOf(executable: string): string {
  const header = readFileSync(executable).subarray(0, 20);
  const machine = header.length === 20 && header.subarray(0, 4).equals(ELF) ? header.readUInt16LE(18) : undefined;
  const name = machine === undefined ? undefined : MACHINES[machine];
  if (name === undefined) throw new Error(`${executable} is no Node for Linux on x64 or arm64`);
  return name;
}

const ELF = Buffer.from('\x7fELF', 'latin1');
const MACHINES: Record<number, string> = { 62: 'x64', 183: 'arm64' };
