import { stat } from 'node:fs/promises';
import { connect } from '../../client/connect.ts';
import { environmentWithTokenFile } from '../../client/credentials.ts';
import { serverAddress } from '../../client/server-address.ts';
import { protectMemory } from '../../files/process-memory.ts';
import { Misconfigured } from '../../protocol/errors.ts';
import { pause } from '../retry.ts';
import type { BATCH_SYSTEMS, Batch, PilotRequest } from './batch.ts';
import { checkTokenFolder } from './hand-over.ts';
import { createLauncher, type Launcher } from './launcher.ts';
import { type LauncherSettings, readLauncherSettings } from './settings.ts';
import { createSlurm } from './slurm.ts';

type Environment = NodeJS.ProcessEnv;

type Open = (settings: LauncherSettings, env: Environment) => Promise<Batch>;

const SYSTEMS: Record<(typeof BATCH_SYSTEMS)[number], Open> = {
  async slurm({ slurm }, env) {
    if (slurm.handOver === 'folder') await checkTokenFolder(slurm.tokenFolder);
    return createSlurm(slurm, env);
  },
};

/**
 * `panda-pilot launch`: keeps pilots in a batch system until it is told to stop. SIGTERM drains: it submits nothing more, cancels what waits, and
 * ends after its last pilot. A second one, SIGINT and SIGHUP end it at once; its pilots go on, and the next launcher takes them over.
 *
 * @throws {Misconfigured} naming the key of its file @throws {Unauthenticated} when the server does not take its token
 */
export async function launchPilots(
  { batch, config }: { batch: string; config: string },
  { environment, say }: { environment: Environment; say: (text: string) => void },
): Promise<void> {
  await protectMemory();
  const settings = readLauncherSettings(config);
  await refuseIfExposed(settings.tokenFile);
  const server = settings.server ?? serverAddress(environment);
  // A launcher has a token of its own: the login of its user is not used.
  const own = environmentWithTokenFile(environment, settings.tokenFile);
  const { client } = await connect({ ...own, PANDA_URL_SSL: server });
  const system = SYSTEMS[batch as keyof typeof SYSTEMS];
  if (!system) throw new Misconfigured(`--batch: "${batch}" is no batch system that is known`);
  const launcher = createLauncher({
    batch: await system(settings, environment),
    server: client.launching,
    settings,
    pilot: pilotOf(settings, server),
    say,
    clock: () => performance.now(),
  });
  say(`keeps pilots of queue ${settings.queue} at ${server} in ${batch}`);
  try {
    await keepLaunching(launcher, settings, say);
  } finally {
    client.close();
  }
}

async function keepLaunching(
  launcher: Launcher,
  { limits }: LauncherSettings,
  say: (text: string) => void,
): Promise<void> {
  const drained = new AbortController();
  const ended = new AbortController();
  process.on('SIGTERM', () => {
    if (drained.signal.aborted) return ended.abort();
    say('SIGTERM: submits no more pilots, and ends after the last one; a second SIGTERM ends it at once');
    launcher.drain();
    drained.abort();
  });
  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      say(`${signal}: ends; its pilots go on`);
      ended.abort();
      drained.abort();
    });
  }
  while (!ended.signal.aborted) {
    const isDraining = drained.signal.aborted;
    await launcher.round();
    if (isDraining && launcher.pilots === 0) return;
    // The signal ends one pause, for the round that it is waited for.
    await pause(limits.pollSeconds, drained.signal.aborted ? ended.signal : drained.signal);
  }
}

/** @throws {Misconfigured} when others can read the launcher's token, or it is not there */
async function refuseIfExposed(file: string): Promise<void> {
  const { mode, uid } = await stat(file).catch(({ code }: NodeJS.ErrnoException) => {
    throw new Misconfigured(
      `token_file "${file}" cannot be read (${code}); "panda-secrets launcher add" prints a token`,
    );
  });
  if (uid === process.geteuid?.() && (mode & 0o077) === 0) return;
  throw new Misconfigured(
    `token_file "${file}" must be this user's own, and nobody else's to read: chmod 600 "${file}"`,
  );
}

/** Nothing in it is a secret: everybody at the site may read it. */
function pilotOf({ queue, name, pilot, slurm }: LauncherSettings, server: string): PilotRequest {
  const { cores, memoryMB, minutes, gpus, command, slots, idleSeconds, siteKey, options } = pilot;
  return {
    name,
    cores,
    memoryMB,
    minutes,
    gpus,
    extra: slurm.extra,
    argv: [
      ...command,
      ...['--queue', queue, '--server', server, '--slots', String(slots), '--idle-exit', String(idleSeconds)],
      ...(siteKey === undefined ? [] : ['--site-key', siteKey]),
      ...options,
    ],
  };
}
