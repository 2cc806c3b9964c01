import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { answers, runCommand } from '../run-command.ts';

const DATA = '/var/lib/panda-secrets';
const SETTINGS = '/etc/panda-secrets/panda-secrets.env';
const UNIT = '/usr/lib/systemd/system/panda-secrets.service';
const COMMANDS = ['pbook', 'prun', 'panda-secrets', 'panda-pilot'];
/** A server that runs longer hangs. */
const SERVE_MILLISECONDS = 600_000;
/** Without the Node that is on this machine's path. */
const PLAIN = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * Debian's own check of packages, where it is installed.
 *
 * @throws {Error} with the errors that it finds
 */
export function inspectDebianPackage(file: string): void {
  if (!answers(['lintian', '--version'])) {
    console.log('lintian: not run, it is not installed');
    return;
  }
  console.log(runCommand(['lintian', '--allow-root', '--fail-on', 'error', file]).trim() || 'lintian: nothing');
}

/**
 * Installs the package, serves as its user and uses the server, upgrades to a newer one, removes and purges it. For a machine to throw away: what it made
 * is deleted at the end.
 *
 * @throws {Error} naming what is not as it should be; also when anything of the package is there already
 */
export async function tryDebianPackage(file: string): Promise<void> {
  if (process.geteuid?.() !== 0) throw new Error('only root can install a Debian package');
  for (const path of [DATA, '/etc/panda-secrets', '/usr/lib/panda-secrets']) {
    if (existsSync(path))
      throw new Error(`${path} is there: this would try the package on an installation that is in use`);
  }
  try {
    install(file);
    expectOwner('/etc/panda-secrets', 'root:panda-secrets 750');
    expectOwner(SETTINGS, 'root:panda-secrets 640');
    expectOwner(DATA, 'panda-secrets:panda-secrets 700');
    for (const name of COMMANDS) expect(say([name, '--version']), /^\d+\.\d+\.\d+/);
    expect(say(['pbook', 'completion', 'bash']), /complete /);
    expect(say(['pbook', '-c', 'print(6 * 7)']), /^42$/m);
    appendFileSync(SETTINGS, 'PANDA_SECRETS_PORT=0\nPANDA_SECRETS_LOG_LEVEL=error\n');
    await useServer();
    const key = readFileSync(`${DATA}/root-keys`, 'utf8');

    upgrade(file);
    expect(readFileSync(SETTINGS, 'utf8'), /PANDA_SECRETS_PORT=0/);
    expectOwner(SETTINGS, 'root:panda-secrets 640');
    expect(asServer('panda-secrets', 'user', 'list'), /alice/);

    apt('remove', 'panda-secrets');
    if (existsSync('/usr/bin/pbook') || existsSync('/usr/lib/panda-secrets'))
      throw new Error('programs stay after a removal');
    if (!existsSync(SETTINGS)) throw new Error('a removal takes the settings');
    expect(apt('purge', 'panda-secrets'), /left: the data and root keys/);
    if (existsSync(SETTINGS)) throw new Error('the settings stay after a purge');
    if (readFileSync(`${DATA}/root-keys`, 'utf8') !== key) throw new Error('a purge touches the root keys');

    install(file);
    expect(asServer('panda-secrets', 'user', 'list'), /alice/);
  } finally {
    answers(['dpkg', '--purge', 'panda-secrets']);
    answers(['deluser', '--system', 'panda-secrets']);
    for (const path of [DATA, '/etc/panda-secrets']) rmSync(path, { recursive: true, force: true });
  }
}

/** The same programs in a package of a higher version. */
function upgrade(file: string): void {
  const place = mkdtempSync(join(tmpdir(), 'panda-secrets-newer-'));
  try {
    const tree = join(place, 'tree');
    const newer = join(place, 'panda-secrets.deb');
    runCommand(['dpkg-deb', '--raw-extract', file, tree]);
    const control = readFileSync(join(tree, 'DEBIAN/control'), 'utf8');
    writeFileSync(join(tree, 'DEBIAN/control'), control.replace(/^Version: .*$/m, '$&+newer'));
    runCommand(['dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, newer]);
    install(newer);
    expect(say(['dpkg-query', '--show', 'panda-secrets']), /\+newer$/m);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** A server as the service starts and reloads it, a user, and that user's secret. */
async function useServer(): Promise<void> {
  const command = ['setpriv', ...AS_SERVER, 'sh', '-c', `exec ${lineOfUnit('ExecStart')}`];
  const server = spawn('python3', ['-c', ON_A_SOCKET, ...command], {
    cwd: '/',
    env: PLAIN,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: SERVE_MILLISECONDS,
  });
  try {
    let url: string | undefined;
    for await (const line of createInterface({ input: server.stdout })) {
      url = /listening on (\S+)/.exec(line)?.[1];
      if (url !== undefined) break;
    }
    if (url === undefined) throw new Error('the installed server does not start');
    server.stdout.resume();
    asServer('panda-secrets', 'user', 'add', 'alice');
    const env = { PANDA_URL_SSL: url, PANDA_AUTH_ID_TOKEN: asServer('panda-secrets', 'token', 'alice').trim() };
    expect(say(['pbook', 'set_secret', 'TRIED', 'random_string'], env), /OK/);
    say(['sh', '-c', lineOfUnit('ExecReload')], { MAINPID: String(server.pid) });
    expect(say(['pbook', 'list_secrets'], env), /TRIED/);
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    const [status, signal] = await ended;
    if (status !== 0) throw new Error(`the installed server ended with ${signal ?? `status ${status}`}`);
  } finally {
    server.kill('SIGKILL');
  }
}

/** Starts the program that its arguments name on a socket, as systemd does: descriptor 3, under the same pid. */
const ON_A_SOCKET = `
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])
`;

/** A command of the service; a shell reads it as systemd does. */
function lineOfUnit(setting: string): string {
  const [, line] = new RegExp(`^${setting}=(.+)$`, 'm').exec(readFileSync(UNIT, 'utf8')) ?? [];
  if (line === undefined) throw new Error(`${UNIT} has no ${setting}=`);
  return line;
}

const AS_SERVER = ['--reuid=panda-secrets', '--regid=panda-secrets', '--clear-groups', '--no-new-privs'];

function asServer(...words: string[]): string {
  return say(['setpriv', ...AS_SERVER, ...words]);
}

function say(words: string[], env: Record<string, string> = {}): string {
  return runCommand(words, { cwd: '/', env: { ...PLAIN, HOME: '/nonexistent', ...env } });
}

function install(file: string, ...options: string[]): void {
  apt('install', '--no-install-recommends', ...options, file);
}

function apt(...words: string[]): string {
  const env = { DEBIAN_FRONTEND: 'noninteractive', ...PLAIN };
  return runCommand(['apt-get', '-q', '-y', '-o', 'Dpkg::Use-Pty=0', ...words], { env });
}

function expect(text: string, wanted: RegExp): void {
  if (!wanted.test(text)) throw new Error(`the installed package: expected ${wanted}, and got ${text.trim()}`);
}

function expectOwner(path: string, wanted: string): void {
  const { mode } = statSync(path);
  const owner = runCommand(['stat', '--format=%U:%G', path]).trim();
  const found = `${owner} ${(mode & 0o7777).toString(8)}`;
  if (found !== wanted) throw new Error(`${path} is ${found}, and should be ${wanted}`);
}
