/** The batch systems that have a file here. */
export const BATCH_SYSTEMS = ['slurm'] as const;

/** The id that a batch system gave to one of its jobs. */
export type BatchId = string;

/** A pilot as a batch job. */
export interface PilotRequest {
  /** The same for all pilots of one launcher, by which it finds its own again. Everybody may read it. */
  name: string;
  cores: number;
  memoryMB: number;
  minutes: number;
  gpus: number;
  /** Further options of the batch system, as it writes them. */
  extra: readonly string[];
  /** The pilot's program and its arguments, without those that name its join token: the batch system adds them. Everybody may read it. */
  argv: readonly string[];
}

/** A pilot as its batch system sees it. */
export interface SeenPilot {
  state: 'pending' | 'running' | 'gone';
  /**
   * Of one that is gone, how it ended, for the owners of its jobs: `time limit reached`; undefined when that is not known. Of one that waits,
   * why, in the words of the batch system.
   */
  reason?: string;
  /** It waits, and the batch system will not start it unless somebody changes something. */
  isStuck?: boolean;
  /** It is gone and did not end by itself with success. */
  hasFailed?: boolean;
}

/**
 * A batch system in which a launcher keeps pilots: one file for each. None of its commands may show a join token to anybody else, in an
 * argument, a variable or a file that stays.
 *
 * Every method throws `Unavailable` when the batch system does not answer, and `Refused` with its reason when it does not do what was asked.
 */
export interface Batch {
  submit(pilot: PilotRequest): Promise<BatchId>;
  /**
   * The pilots of this launcher, those of its earlier runs included, by one command for all.
   *
   * @param name as in {@link PilotRequest}
   * @param known those of which the launcher knows: each is in the answer, except one of which the batch system tells neither that it has this
   * name nor that it ended
   */
  list(name: string, known: readonly BatchId[]): Promise<ReadonlyMap<BatchId, SeenPilot>>;
  /** Ends pilots, those that are gone already too. */
  cancel(ids: readonly BatchId[]): Promise<void>;
  /**
   * Hands a join token to a pilot that runs, which alone can read it.
   *
   * @returns false when the pilot has one already
   */
  hand(id: BatchId, token: string): Promise<boolean>;
}
