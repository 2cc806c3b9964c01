import { randomBytes } from 'node:crypto';
import { Refused, Unavailable } from '../../protocol/errors.ts';
import { shownText } from '../../protocol/text.ts';
import { pause } from '../retry.ts';
import type { Batch, BatchId, SeenPilot } from './batch.ts';
import { putToken, TOKEN_DESCRIPTOR_PATH, withTokenFile } from './hand-over.ts';
import { type RanCommand, runCommand } from './run-command.ts';
import { markIn, type SlurmSettings, sentProgram, slurmScript, tokenFile } from './slurm-script.ts';
import { seenPilot } from './slurm-states.ts';

/** Most ids in the arguments of one command. */
const IDS_AT_ONCE = 500;
const MAX_REASON_CHARS = 300;
/** A batch job that runs has made the folder for its program within this time. */
const FOLDER_SECONDS = 10;
const NO_FOLDER = /no such file or directory/i;

/** Slurm, from 20.11 on, by its commands, as the user who runs the launcher. */
export function createSlurm(settings: SlurmSettings, environment: NodeJS.ProcessEnv): Batch {
  const run = (words: readonly [string, ...string[]], options: { input?: string; descriptor?: number } = {}) =>
    runCommand(words, { ...options, environment });

  /** By the ids of their batch jobs; of those that ended too, for as long as the batch system tells of them. */
  let marks = new Map<BatchId, string>();
  /** By the marks of pilots: the program that has arrived whole, until its pilot has been told; null from then on. */
  const sent = new Map<string, string | null>();

  return {
    async submit(pilot) {
      const mark = randomBytes(8).toString('hex');
      const { stdout } = good('sbatch', await run(['sbatch'], { input: slurmScript(pilot, mark, settings) }));
      // `ID;CLUSTER` where there are several clusters.
      const [, id] = /^(\d+)(?:;.*)?$/m.exec(stdout) ?? [];
      if (id === undefined) throw new Unavailable(`sbatch did not answer with a job's id: ${oneLine(stdout)}`);
      marks.set(id, mark);
      return id;
    },

    async list(name, known) {
      const user = String(process.getuid?.() ?? 0);
      const rows = ['--noheader', '--states=all', `--user=${user}`, '--format=%A|%j|%T|%N|%r'];
      const { stdout } = good('squeue', await run(['squeue', ...rows]));
      const seen = new Map<BatchId, SeenPilot>();
      const found = new Map<BatchId, string>();
      const ofOthers = new Set<BatchId>();
      for (const line of stdout.split('\n')) {
        const [id = '', job = '', state = '', nodes = '', ...reason] = line.trim().split('|');
        const mark = markIn(job, name);
        if (!/^\d+$/.test(id)) continue;
        if (mark === undefined) {
          ofOthers.add(id);
          continue;
        }
        found.set(id, mark);
        seen.set(id, seenPilot({ state, nodes, reason: reason.join('|') }));
      }
      // squeue knows those that ended a few minutes ago, and not their exit status.
      const unsaid = known.filter((id) => !ofOthers.has(id) && (seen.get(id)?.state ?? 'gone') === 'gone');
      const ended = await endedJobs(unsaid);
      for (const id of unsaid) {
        // Only squeue's silence on one that it has told of says that it is gone: another may be of a launcher with another name or account.
        const end = ended.get(id) ?? seen.get(id) ?? (marks.has(id) ? ({ state: 'gone' } as const) : undefined);
        if (end) seen.set(id, end);
      }
      marks = found;
      const living = new Set(found.values());
      for (const mark of sent.keys()) if (!living.has(mark)) sent.delete(mark);
      return seen;
    },

    async cancel(ids) {
      for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
        const ran = await run(['scancel', '--quiet', ...ids.slice(at, at + IDS_AT_ONCE)]);
        // One that is gone already is as it should be.
        if (!/Invalid job id/i.test(ran.stderr)) good('scancel', ran);
      }
    },

    async hand(id, token) {
      const { handOver, tokenFolder } = settings;
      const mark = marks.get(id);
      if (mark === undefined) throw new Refused(`Slurm knows no pilot ${id}`, null);
      await send(id, mark);
      const target = tokenFile(tokenFolder, mark);
      if (handOver === 'folder') return putToken(target, token);
      return await withTokenFile(token, (descriptor) => broadcast(id, TOKEN_DESCRIPTOR_PATH, target, descriptor));
    },
  };

  /** Sends the pilot's program to its node, where that is asked for: first its bytes, then an empty file that says that all are there. */
  async function send(id: BatchId, mark: string): Promise<void> {
    if (settings.send === undefined || sent.get(mark) === null) return;
    const program = sent.get(mark) ?? (await sendProgram(id, mark, settings.send));
    await broadcast(id, '/dev/null', `${program}.sent`);
    sent.set(mark, null);
  }

  async function sendProgram(id: BatchId, mark: string, source: string): Promise<string> {
    const program = sentProgram(settings, mark, randomBytes(4).toString('hex'));
    const giveUpAt = performance.now() + FOLDER_SECONDS * 1000;
    for (;;) {
      try {
        if (!(await broadcast(id, source, program))) throw new Refused(`sbcast: ${program} is there already`, null);
        sent.set(mark, program);
        return program;
      } catch (error) {
        if (!(error instanceof Refused && NO_FOLDER.test(error.message)) || performance.now() > giveUpAt) throw error;
        await pause(0.5);
      }
    }
  }

  /** @returns false when a file is there: without --force it is not written to, whoever made it */
  async function broadcast(id: BatchId, source: string, target: string, descriptor?: number): Promise<boolean> {
    const words = ['sbcast', '--preserve', `--jobid=${id}`, source, target] as const;
    const ran = await run(words, descriptor === undefined ? {} : { descriptor });
    if (/file exists/i.test(ran.stderr)) return false;
    good('sbcast', ran);
    return true;
  }

  /** As the accounting has them; none where it is off, or away. */
  async function endedJobs(ids: readonly BatchId[]): Promise<Map<BatchId, SeenPilot>> {
    const ended = new Map<BatchId, SeenPilot>();
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
      const jobs = ids.slice(at, at + IDS_AT_ONCE).join(',');
      const format = '--format=JobIDRaw,State,ExitCode,NodeList';
      const ran = await run(['sacct', '-X', '--noheader', '--parsable2', '--duplicates', format, `--jobs=${jobs}`]);
      if (ran.status !== 0) return ended;
      for (const line of ran.stdout.split('\n')) {
        const [id = '', state = '', exitCode, nodes] = line.trim().split('|');
        const seen = seenPilot({ state, exitCode, nodes });
        // It learns of an end a little later than the scheduler.
        if (ids.includes(id) && seen.state === 'gone') ended.set(id, seen);
      }
    }
    return ended;
  }
}

/** The output of a command that did what it was asked. @throws {Unavailable} {Refused} */
function good(program: string, ran: RanCommand): RanCommand {
  if (ran.status === 0) return ran;
  const why = oneLine(ran.stderr) || `exit status ${ran.status}`;
  throw DOWN.test(ran.stderr) ? new Unavailable(`${program}: ${why}`) : new Refused(`${program}: ${why}`, null);
}

/** Slurm's own words for a controller that does not answer. */
const DOWN =
  /unable to contact slurm|connection refused|timed out|communication connection failure|connect failure|zero bytes|munge|protocol authentication|temporarily unable|could not establish a configuration source/i;

function oneLine(text: string): string {
  return shownText(text.trim().replaceAll(/\s*\n\s*/g, '; '), MAX_REASON_CHARS);
}
