import { styled } from '../reporting.ts';

/** The colours of states in PanDA's pbook. */
const STYLES: Record<string, Parameters<typeof styled>[0]> = {
  running: ['bold', 'cyan'],
  starting: 'cyan',
  sent: 'cyan',
  holding: 'cyan',
  transferring: 'cyan',
  scouting: 'cyan',
  submitting: 'cyan',
  registered: 'magenta',
  ready: 'magenta',
  activated: 'magenta',
  exhausted: 'magenta',
  done: ['bold', 'green'],
  finished: 'yellow',
  paused: 'yellow',
  throttled: 'yellow',
  failed: 'red',
  broken: ['bold', 'red'],
  aborted: ['bold', 'red'],
  cancelled: ['bold', 'red'],
  closed: ['bold', 'red'],
};

/** A state of a task or job, coloured at a terminal that shows it. `finished` is half of a task and the whole of a job. */
export function styledState(state: string, of: 'task' | 'job' = 'task'): string {
  const style = of === 'job' && state === 'finished' ? STYLES['done'] : STYLES[state];
  return style ? styled(style, state, process.stdout) : state;
}
