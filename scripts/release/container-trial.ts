import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, runCommand } from '../run-command.ts';

const IMAGE = 'panda-secrets-release-trial';
/** As an orchestrator that trusts no container would run it. */
const CONFINED = ['--rm', '--read-only', '--cap-drop=all', '--security-opt=no-new-privileges', '--network=none'];

/**
 * Builds the image where a builder works that has its base, or can fetch it, and runs a program in it; elsewhere says what is missing.
 *
 * @param folder the release
 * @throws {Error} when the build fails, or what it makes does not run
 */
export function tryContainer(folder: string, debianPackage: string): void {
  const builder = ['podman', 'docker'].find((name) => answers([name, 'info']));
  if (builder === undefined) {
    console.log('the container: not built, there is neither podman nor docker that works');
    return;
  }
  const base = process.env['PANDA_RELEASE_BASE'] || baseOf(readFileSync(join(folder, 'Containerfile'), 'utf8'));
  if (!answers([builder, 'image', 'inspect', base]) && !answers([builder, 'pull', base])) {
    console.log(`the container: not built, ${base} cannot be fetched`);
    return;
  }
  const args = ['--build-arg', `BASE=${base}`, '--build-arg', `DEB=${debianPackage}`];
  runCommand([builder, 'build', ...args, '--tag', IMAGE, '--file', join(folder, 'Containerfile'), folder]);
  try {
    const data = `type=tmpfs,destination=/var/lib/panda-secrets,tmpfs-mode=0700`;
    const run = [builder, 'run', ...CONFINED, '--entrypoint', '/usr/bin/id', IMAGE, '--user'];
    if (runCommand(run).trim() === '0') throw new Error('the container runs as root');
    const { status, stderr } = spawnSync(builder, ['run', ...CONFINED, '--mount', data, IMAGE, 'serve', '--help']);
    if (status !== 0) throw new Error(`the server does not run in the container: ${stderr}`);
    console.log(`the container: built by ${builder}, and runs confined`);
  } finally {
    answers([builder, 'image', 'rm', IMAGE]);
  }
}

/** The image that a Containerfile begins with unless another one is named. */
function baseOf(text: string): string {
  const base = /^ARG BASE=(\S+)$/m.exec(text)?.[1];
  if (base === undefined) throw new Error('the Containerfile names no base');
  return base;
}
