import { join } from 'node:path';
import { Conflict } from '../protocol/errors.ts';
import { splitJob } from '../protocol/job-split.ts';
import {
  MAX_GRANT_SECONDS,
  MAX_JOBS_PER_TASK,
  MAX_OUTPUTS_PER_JOB,
  MAX_SEALED_SITES,
  MAX_SOURCE_URL_CHARS,
} from '../protocol/limits.ts';
import { grantedJob } from './admission.ts';
import { flag, integer, list, object, type Readout, text } from './exact-json.ts';
import type { Grant } from './grant.ts';
import { type OwnFile, ownFile } from './own-file.ts';
import { SITE_ID } from './site-id.ts';
import { PUBLIC_KEY } from './site-record.ts';

/** Grants of one task that are kept, and so retries of it. */
const MAX_KEPT_GRANTS = 1000;
const SECONDS = integer(0, Number.MAX_SAFE_INTEGER);
const ATTEMPT = integer(1, Number.MAX_SAFE_INTEGER);

const TASK = object({
  task: integer(1, Number.MAX_SAFE_INTEGER),
  signer: PUBLIC_KEY,
  jobs: integer(1, MAX_JOBS_PER_TASK),
  outputs: list(text(1024), MAX_OUTPUTS_PER_JOB),
  log: text(1024),
  sourceUrl: text(MAX_SOURCE_URL_CHARS),
  mayHold: flag,
  isSealed: flag,
  isWhole: flag,
  grants: list(
    object({ nonce: text(22), sites: list(SITE_ID, MAX_SEALED_SITES), from: SECONDS, end: SECONDS }),
    MAX_KEPT_GRANTS,
  ),
  seen: list(
    object({ serial: ATTEMPT, attempt: ATTEMPT, grant: integer(0, MAX_KEPT_GRANTS), counted: ATTEMPT }),
    MAX_JOBS_PER_TASK,
  ),
});

/** A task that its user signed for, as far as its results are known by it. */
export interface GrantedTask {
  task: number;
  /** The user's signing key. */
  signer: string;
  jobs: number;
  /** Templates of file names. */
  outputs: string[];
  log: string;
  sourceUrl: string;
  /** A node holds outputs back that have secrets in them: one that does not come need not be lost. */
  mayHold: boolean;
  /** Results are sealed to the user. */
  isSealed: boolean;
  /** All of its grants are known, from the first on: the server's count of attempts began with it. */
  isWhole: boolean;
  /** The oldest first. `from`: seconds since 1970, not after it was signed; `end`: the grant's own. */
  grants: { nonce: string; sites: string[]; from: number; end: number }[];
  /** The latest attempt at each job of which something came that its node signed. */
  seen: SeenAttempt[];
}

/** An attempt by the server's number, and by what its node signed. */
export interface SeenAttempt {
  serial: number;
  /** The server's number, counted over the job's whole life. */
  attempt: number;
  /** The place of its grant among those of the task. */
  grant: number;
  /** Counted from that grant's beginning. */
  counted: number;
}

/**
 * The tasks that a user signed for on this device, each in a file: nothing that a server says changes which nonce, names and sites its
 * results must have.
 */
export interface GrantedTasks {
  of(task: number): Promise<GrantedTask | undefined>;
  /**
   * Notes the first grant of a new task, before it is sent.
   *
   * @param now seconds since 1970 @throws {Conflict} when a task of that number was signed for before
   */
  begin(grant: Grant, now: number): Promise<void>;
  /** Notes that a task was signed for again, before that is sent. @param before the grant that the server showed */
  again(before: Grant, grant: Grant, now: number): Promise<void>;
  /** Notes a grant that another device signed for a task that is known here. */
  learn(grant: Grant): Promise<void>;
  /** Keeps which attempts were seen. */
  see(task: number, seen: readonly SeenAttempt[]): Promise<void>;
}

export function grantedTasks(folder: string): GrantedTasks {
  const fileOf = (task: number): OwnFile<Readout<typeof TASK>> =>
    ownFile(join(folder, String(task)), 'note of a task', TASK);
  return {
    of: async (task) => await fileOf(task).read(),
    async begin(grant, now) {
      const file = fileOf(grant.task);
      if (await file.create({ ...knownBy(grant, now), isWhole: true })) return;
      throw new Conflict(
        `the server gave the number ${grant.task} to a second task, so that results of one could be taken for the other's: ` +
          `nothing was signed. If it was set up anew, move ${folder} away`,
      );
    },
    async again(before, grant, now) {
      await fileOf(grant.task).change(knownBy(before), (known) => withGrant(withGrant(known, before), grant, now));
    },
    async learn(grant) {
      await fileOf(grant.task).change(knownBy(grant), (known) => withGrant(known, grant));
    },
    async see(task, seen) {
      const file = fileOf(task);
      const known = await file.read();
      if (!known) return;
      await file.change(known, (content) => ({
        ...content,
        seen: [...content.seen.filter(({ serial }) => !seen.some((one) => one.serial === serial)), ...seen],
      }));
    },
  };
}

/** @param from as in {@link knownBy} @throws {Conflict} when there are too many */
function withGrant(known: GrantedTask, grant: Grant, from?: number): GrantedTask {
  if (known.grants.some(({ nonce }) => nonce === grant.nonce)) return known;
  const grants = [...known.grants, ...knownBy(grant, from).grants];
  if (grants.length <= MAX_KEPT_GRANTS) return { ...known, grants };
  throw new Conflict(`task ${grant.task} was signed for too often: submit it again`);
}

/** All that is known of a task by one grant. @param from seconds since 1970; the earliest that it can be when left out */
export function knownBy(grant: Grant, from = grant.end - MAX_GRANT_SECONDS): GrantedTask {
  const { task, signer, jobs, template, results, nonce, sites, end } = grant;
  return {
    task,
    signer,
    jobs,
    outputs: template.outputs,
    log: template.log,
    sourceUrl: template.sourceUrl,
    mayHold: grantedJob(grant, 1).payload.leakedOutputs === 'hold',
    isSealed: results !== null,
    isWhole: false,
    grants: [{ nonce, sites, from: Math.max(0, Math.floor(from)), end }],
    seen: [],
  };
}

/** The names under which one of its jobs brings back what it does. */
export function namesOf({ task, outputs, log, sourceUrl }: GrantedTask, serial: number) {
  return splitJob({ outputs, log, sourceUrl, parameters: [] }, { taskId: task, serial });
}
