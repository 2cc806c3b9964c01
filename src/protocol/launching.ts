import type { AnswerAt, ArgumentsAt } from './calls/calls.ts';
import type { LAUNCHER_CALLS } from './calls/launcher.ts';

/** The acts of a launcher, at the server and in a client. */
export type Launching = {
  [K in keyof typeof LAUNCHER_CALLS]: (
    args: ArgumentsAt<(typeof LAUNCHER_CALLS)[K]['path']>,
  ) => Promise<AnswerAt<(typeof LAUNCHER_CALLS)[K]['path']>>;
};
