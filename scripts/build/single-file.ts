import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { bundleInOneFile } from './bundles.ts';

/** The programs that are executables as well: those that run where no server is installed. */
export const SINGLE_FILES = ['pbook', 'prun', 'panda-pilot'] as const;
export type SingleFile = (typeof SINGLE_FILES)[number];

const SILENT_FLAG = '--disable-warning=ExperimentalWarning';
/** Flags with which a program starts anew where it was started without them (`files/process-memory.ts`): here they are built in. */
const NODE_FLAGS: Record<SingleFile, readonly string[]> = {
  // It passes SIGUSR1 on to the command that it runs.
  pbook: ['--experimental-ffi', SILENT_FLAG],
  prun: [SILENT_FLAG],
  'panda-pilot': ['--experimental-ffi', '--disable-sigusr1', SILENT_FLAG],
};

export interface SingleFileOptions {
  root: string;
  /** The file to write. */
  output: string;
  /** A Node of the same version for another machine; the one that runs this when left out. What V8 has compiled is for that one alone. */
  executable?: string | undefined;
}

/**
 * Makes the executables of {@link SINGLE_FILES} in a folder, `NAME-linux-MACHINE`.
 *
 * @param options `executable` as for {@link buildSingleFile}
 * @returns their names, and the files that their bundles are made of, relative to `root`
 * @throws {Error} when this Node makes none
 */
export async function buildSingleFiles(options: {
  root: string;
  folder: string;
  executable?: string | undefined;
}): Promise<{ files: string[]; inputs: Set<string> }> {
  const { root, folder, executable } = options;
  const machine = machineOf(executable ?? process.execPath);
  const inputs = new Set<string>();
  const files: string[] = [];
  for (const program of SINGLE_FILES) {
    const name = `${program}-linux-${machine}`;
    for (const file of await buildSingleFile(program, { root, output: join(folder, name), executable }))
      inputs.add(file);
    files.push(name);
  }
  return { files, inputs };
}

/**
 * Makes a program one executable: Node itself, with the bundle, what V8 makes of it and the files that the program reads inside
 * (nodejs.org, "Single executable applications"). NODE_OPTIONS of the user do not count. The same sources and tools give the same bytes.
 *
 * @internal
 * @returns the files that the bundle is made of, relative to `root`
 * @throws {Error} when this Node makes none
 */
export async function buildSingleFile(
  program: SingleFile,
  { root, output, executable }: SingleFileOptions,
): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-single-file-'));
  try {
    // Relative to the folder, which has another name each time: the executable holds the paths.
    const main = `${program}.mjs`;
    const inputs = await bundleInOneFile(program, root, join(folder, main));
    mkdirSync(dirname(output), { recursive: true });
    const settings = {
      main,
      mainFormat: 'module',
      output: resolve(output),
      executable: stripped(executable ?? process.execPath, join(folder, 'node')),
      disableExperimentalSEAWarning: true,
      useCodeCache: executable === undefined,
      execArgv: NODE_FLAGS[program],
      execArgvExtension: 'none',
      assets: program === 'pbook' ? filesOfPbook(root, folder) : {},
    };
    writeFileSync(join(folder, 'sea.json'), JSON.stringify(settings));
    // Otherwise V8 numbers by chance what it has compiled.
    const args = ['--predictable', '--build-sea=sea.json'];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`Node ${process.versions.node} made no single executable: ${stderr.trim()}`);
    return inputs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By the names that `pbook` asks for; `python` is the list of its modules. */
function filesOfPbook(root: string, folder: string): Record<string, string> {
  const python = join(root, 'src/cli/pbook/shell/python');
  const modules = globSync('pbook/*.py', { cwd: python }).sort();
  const completions = globSync('completions/*', { cwd: root }).sort();
  writeFileSync(join(folder, 'python.json'), JSON.stringify(modules));
  return Object.fromEntries([
    ['python', 'python.json'],
    ...modules.map((name) => [`python/${name}`, join(python, name)]),
    ...completions.map((name) => [name, join(root, name)]),
  ]);
}

/** A copy without what only debuggers read, a fifth of it, where there is a program that takes that away. */
export function stripped(node: string, copy: string): string {
  return spawnSync('strip', ['-o', copy, node]).status === 0 ? copy : node;
}

/** Why this Node makes none; `undefined` when it does. */
export function whyNoSingleFile(): string | undefined {
  if (process.platform !== 'linux') return `it is for Linux, and this is ${process.platform}`;
  const { stdout } = spawnSync(process.execPath, ['--help'], { encoding: 'utf8' });
  return stdout.includes('--build-sea') ? undefined : `Node ${process.versions.node} makes no single executables`;
}

/** The licence of the Node that is inside, and of what that contains. */
export function withLicenceOfNode(notices: string, root: string): string {
  const licence = readFileSync(join(root, 'node_modules', `node-linux-${process.arch}`, 'LICENSE'), 'utf8');
  return `${notices}\n${'='.repeat(80)}\n\n${licence}`;
}

/**
 * The machine that an executable is for, as its header says (ELF, `e_machine`): x64, arm64.
 *
 * @internal
 */
export function machineOf(executable: string): string {
  const header = readFileSync(executable).subarray(0, 20);
  const machine = header.length === 20 && header.subarray(0, 4).equals(ELF) ? header.readUInt16LE(18) : undefined;
  const name = machine === undefined ? undefined : MACHINES[machine];
  if (name === undefined) throw new Error(`${executable} is no Node for Linux on x64 or arm64`);
  return name;
}

const ELF = Buffer.from('\x7fELF', 'latin1');
const MACHINES: Record<number, string> = { 62: 'x64', 183: 'arm64' };
