import type { SeenPilot } from './batch.ts';

/** Slurm's states (`man squeue`, JOB STATE CODES) of jobs that wait, or wait again. */
const PENDING = ['PENDING', 'CONFIGURING', 'REQUEUED', 'REQUEUE_FED', 'REQUEUE_HOLD', 'SPECIAL_EXIT', 'RESV_DEL_HOLD'];
/** Those that have nodes. */
const RUNNING = ['RUNNING', 'COMPLETING', 'SUSPENDED', 'STOPPED', 'SIGNALING', 'STAGE_OUT', 'RESIZING'];

/** Reasons of Slurm's for which a job is not started unless somebody changes something. */
const HELD =
  /held|hold|DependencyNeverSatisfied|BadConstraints|PartitionTimeLimit|PartitionNodeLimit|JobLaunchFailure/i;

/** A row of `squeue` or `sacct`. */
interface SlurmRow {
  state: string;
  /** Slurm's reason, `None` without one. */
  reason?: string | undefined;
  /** `EXIT:SIGNAL`, as `sacct` has it. */
  exitCode?: string | undefined;
  nodes?: string | undefined;
}

/** Reads a row: what it says of one that is gone is for the owners of its jobs. */
export function seenPilot(row: SlurmRow): SeenPilot {
  // `CANCELLED by 1000` in sacct.
  const [state = ''] = row.state.split(' ');
  const reason = row.reason === 'None' || row.reason === '' ? undefined : row.reason;
  if (PENDING.includes(state))
    return { state: 'pending', ...(reason !== undefined && { reason }), isStuck: HELD.test(reason ?? '') };
  if (RUNNING.includes(state)) return { state: 'running' };
  return { state: 'gone', reason: endOf(state, row), hasFailed: state !== 'COMPLETED' };
}

/** Goes on from "its pilot's batch job ended:". */
function endOf(state: string, { exitCode = '', nodes }: SlurmRow): string {
  const [status = '', signal = '0'] = exitCode.split(':');
  const node = nodes && nodes !== 'None assigned' ? `its node ${nodes}` : 'its node';
  switch (state) {
    case 'PREEMPTED':
      return 'preempted: the batch system needed its place for another job';
    case 'TIMEOUT':
    case 'DEADLINE':
      return 'time limit reached';
    case 'NODE_FAIL':
      return `${node} was lost`;
    case 'BOOT_FAIL':
      return `${node} did not start`;
    case 'OUT_OF_MEMORY':
      return 'it used more memory than it may';
    case 'CANCELLED':
    case 'REVOKED':
      return 'cancelled at the batch system';
    case 'COMPLETED':
      return 'the pilot ended by itself';
    default:
      if (signal !== '0') return `killed by signal ${signal}`;
      return status !== '0' && status !== '' ? `exit status ${status}` : 'failed';
  }
}
