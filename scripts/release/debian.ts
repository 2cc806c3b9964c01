import { createHash } from 'node:crypto';
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PROGRAMS } from '../build/programs.ts';
import { stripped, withLicenceOfNode } from '../build/single-file.ts';
import { runCommand } from '../run-command.ts';

/** Debian's words for the machines that Node names. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
/** The libraries that Node is linked with, in the oldest releases that it runs with. */
const DEPENDS = 'adduser, libatomic1, libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 8)';
const MAINTAINER = 'panda-secrets <panda-secrets@localhost>';
const HOME = 'usr/lib/panda-secrets';
const NODE = `/${HOME}/bin/node`;
const SETTINGS = 'etc/panda-secrets/panda-secrets.env';
const SHELLS = [
  (name: string) => [`${name}.bash`, `usr/share/bash-completion/completions/${name}`],
  (name: string) => [`_${name}`, `usr/share/zsh/vendor-completions/_${name}`],
  (name: string) => [`${name}.fish`, `usr/share/fish/vendor_completions.d/${name}.fish`],
] as const;

/** A file of the package: its path without the first "/". */
interface Entry {
  path: string;
  content: Buffer | string;
  mode?: number;
}

export interface DebianOptions {
  root: string;
  /** Where it is put. */
  folder: string;
  /** Of the release. */
  version: string;
  /** Seconds since 1970: the time of all that is in it. */
  epoch: number;
}

/**
 * Makes the Debian package from `dist/`, with a Node of its own (docs/decisions, "The Debian package brings its own Node").
 *
 * @returns its name
 * @throws {Error} where there is no `dpkg-deb`, or it fails
 */
export function buildDebianPackage({ root, folder, version, epoch }: DebianOptions): string {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`no Debian package is made for ${process.arch}`);
  const place = mkdtempSync(join(tmpdir(), 'panda-secrets-debian-'));
  try {
    const tree = join(place, 'tree');
    const revision = `${version}-1`;
    const node = readFileSync(stripped(process.execPath, join(place, 'node')));
    const files = [
      { path: `${HOME}/bin/node`, content: node, mode: 0o755 },
      ...programs(root),
      ...documents(root, revision, epoch),
      ...system(root),
    ];
    for (const file of files) put(tree, file);
    for (const [path, target] of links()) link(tree, path, target);
    const kibibytes = files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0);
    for (const file of control(root, { files, revision, architecture, kibibytes })) put(join(tree, 'DEBIAN'), file);
    const name = `panda-secrets_${revision}_${architecture}.deb`;
    // gzip: xz makes a third less of it, and takes ten times as long.
    const build = ['dpkg-deb', '--root-owner-group', '-Zgzip', '-z6', '--build', tree, join(folder, name)];
    runCommand(build, { env: { SOURCE_DATE_EPOCH: String(epoch) } });
    return name;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** The files of npm's package, started by the Node beside them. */
function programs(root: string): Entry[] {
  const dist = join(root, 'dist');
  const lib = globSync('lib/**', { cwd: dist }).filter((path) => statSync(join(dist, path)).isFile());
  return [
    { path: `${HOME}/package.json`, content: '{ "type": "module" }\n' },
    ...lib.map((path) => ({ path: `${HOME}/dist/${path}`, content: readFileSync(join(dist, path)) })),
    ...Object.keys(PROGRAMS).map((name) => ({
      path: `${HOME}/dist/${name}.js`,
      content: starter(readFileSync(join(dist, `${name}.js`), 'utf8'), name),
      mode: 0o755,
    })),
  ];
}

/** With Debian's place of Node; `panda-secrets` reads the service's settings, so that an operator's commands have them as well. */
function starter(text: string, name: string): string {
  const own = text.replace(/^#!.*/, `#!${NODE} --disable-warning=ExperimentalWarning`);
  if (name !== 'panda-secrets') return own;
  const settings = [
    'try {',
    `  process.loadEnvFile('/${SETTINGS}');`,
    '} catch {',
    '  // Only root and the user of the service can read them: others have none of it.',
    '}',
  ].join('\n');
  return own.replace(/^await import/m, `${settings}\nawait import`);
}

function documents(root: string, revision: string, epoch: number): Entry[] {
  const folder = 'usr/share/doc/panda-secrets';
  const licences = withLicenceOfNode(readFileSync(join(root, 'dist/THIRD-PARTY-LICENSES'), 'utf8'), root);
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const changes = `panda-secrets (${revision}) unstable; urgency=medium\n\n  * The changes stand in changelog.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
  return [
    { path: `${folder}/copyright`, content: readFileSync(join(root, 'packaging/debian/copyright')) },
    { path: `${folder}/changelog.gz`, content: packed(readFileSync(join(root, 'CHANGELOG.md'))) },
    { path: `${folder}/changelog.Debian.gz`, content: packed(changes) },
    { path: `${folder}/THIRD-PARTY-LICENSES.gz`, content: packed(licences) },
    ...globSync('*', { cwd: join(root, 'packaging/monitoring') }).map((name) => ({
      path: `${folder}/examples/${name}`,
      content: readFileSync(join(root, 'packaging/monitoring', name)),
    })),
    {
      path: 'usr/share/lintian/overrides/panda-secrets',
      content: readFileSync(join(root, 'packaging/debian/lintian-overrides')),
    },
    ...Object.keys(PROGRAMS).map((name) => ({
      path: `usr/share/man/man1/${name}.1.gz`,
      content: packed(readFileSync(join(root, 'man', `${name}.1`))),
    })),
  ];
}

function system(root: string): Entry[] {
  const units = globSync('*', { cwd: join(root, 'packaging/systemd') }).sort();
  return [
    { path: SETTINGS, content: readFileSync(join(root, 'packaging/panda-secrets.env')), mode: 0o640 },
    ...units.map((name) => ({
      path: `usr/lib/systemd/system/${name}`,
      content: readFileSync(join(root, 'packaging/systemd', name)),
    })),
    ...Object.keys(PROGRAMS).flatMap((name) =>
      SHELLS.map((of) => {
        const [file, path] = of(name) as [string, string];
        return { path, content: readFileSync(join(root, 'completions', file)) };
      }),
    ),
  ];
}

/** Path and target: the commands, and the completions where `pbook completion` reads them. */
function* links(): Iterable<[path: string, target: string]> {
  for (const name of Object.keys(PROGRAMS)) {
    yield [`usr/bin/${name}`, `../lib/panda-secrets/dist/${name}.js`];
    for (const of of SHELLS) {
      const [file, path] = of(name) as [string, string];
      yield [`${HOME}/completions/${file}`, `../../../${path.replace(/^usr\//, '')}`];
    }
  }
}

function control(
  root: string,
  {
    files,
    revision,
    architecture,
    kibibytes,
  }: { files: Entry[]; revision: string; architecture: string; kibibytes: number },
): Entry[] {
  const fields = [
    'Package: panda-secrets',
    `Version: ${revision}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${kibibytes}`,
    `Depends: ${DEPENDS}`,
    'Recommends: bubblewrap, python3 (>= 3.8)',
    'Section: admin',
    'Priority: optional',
    'Description: secrets for batch and grid jobs',
    ' Users keep tokens, passwords and keys in one place; the system keeps them',
    " encrypted, seals each job's secrets to the compute node that runs it, masks",
    ' them in logs, and leaves no trace of them behind.',
    ' .',
    ' The package has the programs of users (pbook, prun), of operators',
    ' (panda-secrets, the server) and of compute nodes (panda-pilot). The server',
    ' starts when an operator enables it.',
  ];
  const sums = files.map(({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`).sort();
  const script = (name: string) => ({
    path: name,
    content: readFileSync(join(root, 'packaging/debian', name)),
    mode: 0o755,
  });
  return [
    { path: 'control', content: `${fields.join('\n')}\n` },
    { path: 'conffiles', content: `/${SETTINGS}\n` },
    { path: 'md5sums', content: sums.filter((line) => !line.endsWith(`  ${SETTINGS}\n`)).join('') },
    ...['postinst', 'prerm', 'postrm'].map(script),
  ];
}

/** Modes do not follow the umask. */
function put(tree: string, { path, content, mode = 0o644 }: Entry): void {
  const file = join(tree, path);
  makeFolders(dirname(file));
  writeFileSync(file, content);
  chmodSync(file, mode);
}

function link(tree: string, path: string, target: string): void {
  const file = join(tree, path);
  makeFolders(dirname(file));
  symlinkSync(target, file);
}

function makeFolders(folder: string): void {
  const first = mkdirSync(folder, { recursive: true });
  for (let made = folder; first !== undefined && made.length >= first.length; made = dirname(made))
    chmodSync(made, 0o755);
}

function packed(content: Buffer | string): Buffer {
  return gzipSync(content, { level: 9 });
}
