import type { ADMIN_CALLS } from './calls/admin.ts';
import type { AnswerAt, ArgumentsAt } from './calls/calls.ts';

/** The acts of an operator, wherever they are done: in a process on the data folder, or by the calls of a server. */
export type Administration = {
  [K in keyof typeof ADMIN_CALLS]: (
    args: ArgumentsAt<(typeof ADMIN_CALLS)[K]['path']>,
  ) => Promise<AnswerAt<(typeof ADMIN_CALLS)[K]['path']>>;
};
