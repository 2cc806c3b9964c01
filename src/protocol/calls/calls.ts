import type * as admin from './admin.ts';
import type { Answer, Arguments, BYTES, Call } from './call.ts';
import type * as creds from './creds.ts';
import type * as fileServer from './file-server.ts';
import type * as harvester from './harvester.ts';
import type * as job from './job.ts';
import type * as jobLog from './job-log.ts';
import type * as launcher from './launcher.ts';
import type * as login from './login.ts';
import type * as metaconfig from './metaconfig.ts';
import type * as pilot from './pilot.ts';
import type * as pilotSession from './pilot-session.ts';
import type * as statistics from './statistics.ts';
import type * as system from './system.ts';
import type * as task from './task.ts';

/**
 * Every call, for the types of a client: it names a call by its path, and a path, argument or field of an answer that is not
 * there is a type error. Nothing of this file is there at run time.
 */
type AnyCall =
  | CallIn<typeof admin>
  | CallIn<typeof creds>
  | CallIn<typeof fileServer>
  | CallIn<typeof harvester>
  | CallIn<typeof job>
  | CallIn<typeof jobLog>
  | CallIn<typeof launcher>
  | CallIn<typeof login>
  | CallIn<typeof metaconfig>
  | CallIn<typeof pilot>
  | CallIn<typeof pilotSession>
  | CallIn<typeof statistics>
  | CallIn<typeof system>
  | CallIn<typeof task>;

type CallIn<Group> = Extract<Group[keyof Group], Call>;

/** Paths by how their calls are made. */
export type GetPath = Exclude<Extract<AnyCall, { http: 'GET' }>['path'], DownloadPath>;
export type PostPath = Exclude<Extract<AnyCall, { http: 'POST' }>['path'], UploadPath>;
/** The body is not JSON. */
export type UploadPath = Extract<AnyCall, { body: string }>['path'];
/** The answer is bytes. */
export type DownloadPath = Extract<AnyCall, { answer: typeof BYTES }>['path'];

type CallAt<P extends AnyCall['path']> = Extract<AnyCall, { path: P }>;

/** The arguments of the call at a path; an optional one may be undefined, and is then left out. */
export type ArgumentsAt<P extends AnyCall['path']> = Given<Arguments<CallAt<P>>>;

type Given<A> = { [K in keyof A]: ReadOnly<A[K]> | (Record<never, never> extends Pick<A, K> ? undefined : never) };
type ReadOnly<T> = T extends (infer E)[] ? readonly E[] : T;

/** The `data` that the call at a path answers. */
export type AnswerAt<P extends AnyCall['path']> = Answer<CallAt<P>>;
