import type { AnswerAt } from '../../protocol/calls/calls.ts';
import { longestJobSeconds } from '../allocation.ts';
import type { LauncherSettings } from './settings.ts';

/** Jobs and their needs, as the server counts them. */
export type QueueLoad = Pick<AnswerAt<'launcher/get_load'>, 'waiting' | 'needs' | 'running'>;

/**
 * Pilots that should wait in the batch system now. Where jobs wait beside slots that are free, these take them; the batch system does the
 * rest of the scheduling.
 */
export function wantedPending(
  load: QueueLoad,
  { running }: { running: number },
  settings: Pick<LauncherSettings, 'pilot' | 'limits'>,
): number {
  const { pilot, limits } = settings;
  const freeSlots = Math.max(0, running * pilot.slots - load.running);
  const left = Math.max(0, fittingJobs(load, pilot) - freeSlots);
  const pilots = Math.ceil(left / (pilot.slots * limits.backlog));
  return Math.max(0, Math.min(pilots, limits.maxQueued, limits.maxPilots - running));
}

/** Jobs that wait and that a pilot of this launcher can take: where the server tells of no needs, all. */
function fittingJobs({ waiting, needs }: QueueLoad, pilot: LauncherSettings['pilot']): number {
  // A pilot with several slots takes no job that asks for more than the share of one (`allocation.ts`).
  const share = { cores: Math.floor(pilot.cores / pilot.slots), memoryMB: Math.floor(pilot.memoryMB / pilot.slots) };
  const longest = longestJobSeconds(pilot.minutes);
  const unfit = needs
    .filter(
      ({ cores, memory_mb, walltime_seconds }) =>
        cores > Math.max(1, share.cores) || memory_mb > share.memoryMB || walltime_seconds > longest,
    )
    .reduce((sum, { jobs }) => sum + jobs, 0);
  return Math.max(0, waiting - unfit);
}
