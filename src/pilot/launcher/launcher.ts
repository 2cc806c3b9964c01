import { Refused, Unavailable } from '../../protocol/errors.ts';
import type { Launching } from '../../protocol/launching.ts';
import { LAUNCHER_BACKOFF_SECONDS, MAX_HAND_OVERS, MAX_SUBMITS_A_ROUND } from '../../protocol/limits.ts';
import type { Batch, BatchId, PilotRequest, SeenPilot } from './batch.ts';
import { wantedPending } from './demand.ts';
import { createSetbacks, type Setbacks } from './setbacks.ts';
import type { LauncherSettings } from './settings.ts';

export interface LauncherParts {
  batch: Batch;
  server: Launching;
  settings: Pick<LauncherSettings, 'queue' | 'pilot' | 'limits'>;
  /** As a batch job. */
  pilot: PilotRequest;
  /** For the admin, one line each. */
  say: (text: string) => void;
  /** Milliseconds, of any beginning. */
  clock: () => number;
}

/** Keeps pilots of one queue in a batch system. It remembers nothing over its end: the batch system and the server know all. */
export interface Launcher {
  /**
   * Looks once at the batch system and at the queue, and does what is due. Trouble that may be over at the next round is said.
   *
   * @throws {Unauthenticated} when the server does not take the launcher's token
   */
  round(): Promise<void>;
  /** Submits nothing from now on, and cancels at the next round what waits. */
  drain(): void;
  /** Pilots that wait or run, as last seen, and those whose end the server has not been told. */
  readonly pilots: number;
}

/** A pilot in the batch system. */
interface Pilot {
  seen: SeenPilot;
  /** It has been handed its token, or has joined. */
  isServed: boolean;
  /** When it was first seen running. */
  runningSince?: number;
  /** Times that its token could not be made or handed over. */
  failedHandOvers: number;
}

/** A pilot that failed within this time after its start did nothing. */
const EARLY_SECONDS = 60;
/** So many pilots may fail at once before the launcher waits with others. */
const FREE_FAILURES = 2;
/** A pilot to which no token can be handed is given up after so many rounds. */
const MAX_FAILED_HAND_OVERS = 5;
/** Rounds for which more wait than are wanted, before the surplus is cancelled: demand changes from second to second. */
const PATIENT_ROUNDS = 6;

export function createLauncher({ batch, server, settings, pilot, say, clock }: LauncherParts): Launcher {
  const { queue, limits } = settings;
  const pilots = new Map<BatchId, Pilot>();
  /** How those ended of which the server does not know yet. */
  const unreported = new Map<BatchId, string>();
  const backoff = { firstSeconds: limits.pollSeconds, longestSeconds: LAUNCHER_BACKOFF_SECONDS };
  const batchTrouble = createSetbacks(backoff, clock);
  const serverTrouble = createSetbacks(backoff, clock);
  const submitTrouble = createSetbacks(backoff, clock);
  const earlyEnds = createSetbacks({ ...backoff, free: FREE_FAILURES }, clock);
  /** The trouble that was said last, by what it is with. */
  const said = new Map<string, string>();
  let surplusRounds = 0;
  let isDraining = false;
  let hasBegun = false;

  return {
    async round() {
      hasBegun ||= await begin();
      if (!hasBegun) return;
      const isSeen = await look();
      await reportEnds();
      if (!isSeen) return;
      await handOver();
      await adjust();
    },

    drain() {
      isDraining = true;
    },

    get pilots() {
      return pilots.size + unreported.size;
    },
  };

  /** Learns which batch jobs an earlier launcher left, so that also the end of one that is gone by now is reported. */
  async function begin(): Promise<boolean> {
    const open = await fromServer(() => server.listBatchJobs({ queue }));
    for (const { batch_id, joined } of open ?? []) {
      pilots.set(batch_id, { seen: { state: 'running' }, isServed: joined, failedHandOvers: 0 });
    }
    return open !== undefined;
  }

  /** @returns false when the batch system does not answer */
  async function look(): Promise<boolean> {
    const seen = await fromBatch(() => batch.list(pilot.name, [...pilots.keys()]));
    if (!seen) return false;
    // The token may be another launcher's too, whose pilots are its own to serve and to end.
    for (const id of pilots.keys()) if (!seen.has(id)) pilots.delete(id);
    let adopted = 0;
    for (const [id, now] of seen) {
      const known = pilots.get(id);
      if (now.state === 'gone') {
        if (known) leave(id, known, now);
        continue;
      }
      if (now.isStuck && known?.seen.reason !== now.reason) say(`pilot ${id} will not start: ${now.reason}`);
      const one = known ?? { seen: now, isServed: false, failedHandOvers: 0 };
      one.seen = now;
      if (now.state === 'running') one.runningSince ??= clock();
      pilots.set(id, one);
      if (!known) adopted += 1;
    }
    if (adopted > 0)
      say(`takes over ${adopted} ${adopted === 1 ? 'pilot' : 'pilots'} that it finds in the batch system`);
    return true;
  }

  function leave(id: BatchId, { runningSince }: Pilot, { reason = 'it is gone', hasFailed = false }: SeenPilot): void {
    pilots.delete(id);
    unreported.set(id, reason);
    say(`pilot ${id} ended: ${reason}`);
    const ranSeconds = runningSince === undefined ? 0 : (clock() - runningSince) / 1000;
    if (hasFailed && !isDraining && ranSeconds < EARLY_SECONDS) earlyEnds.failed();
    else earlyEnds.succeeded();
  }

  async function reportEnds(): Promise<void> {
    for (const [id, reason] of unreported) {
      if (!(await fromServer(() => server.reportEnd({ queue, batch_id: id, reason })))) return;
      unreported.delete(id);
    }
  }

  /** Makes tokens for the pilots that run and have none, and hands them over. */
  async function handOver(): Promise<void> {
    const due = [...pilots].filter(([, { seen, isServed }]) => seen.state === 'running' && !isServed);
    let refused = 0;
    for (let at = 0; at < due.length; at += MAX_HAND_OVERS) {
      const served = await Promise.all(due.slice(at, at + MAX_HAND_OVERS).map(([id, one]) => serve(id, one)));
      if (served.includes(undefined)) return;
      refused += served.filter((made) => made === 'refused').length;
    }
    if (refused === 0) return;
    // A pilot that has joined gets no other token.
    for (const { batch_id, joined } of (await fromServer(() => server.listBatchJobs({ queue }))) ?? []) {
      const one = pilots.get(batch_id);
      if (one && joined) one.isServed = true;
    }
    await giveUp(due.filter(([, one]) => !one.isServed && one.failedHandOvers >= MAX_FAILED_HAND_OVERS));
  }

  /** @returns `undefined` when the server does not answer */
  async function serve(id: BatchId, one: Pilot): Promise<'served' | 'refused' | undefined> {
    const made = await fromServer(async () => {
      try {
        return await server.createJoinToken({ queue, batch_id: id });
      } catch (error) {
        if (error instanceof Refused) return error;
        throw error;
      }
    });
    if (!made) return undefined;
    const refusal = made instanceof Refused ? made : await handed(id, made);
    one.isServed = refusal === undefined;
    if (!refusal) return 'served';
    tell(`the token of pilot ${id}`, refusal.message);
    one.failedHandOvers += 1;
    return 'refused';
  }

  /** @returns why it was not handed over; then it is void */
  async function handed(
    id: BatchId,
    { token, token_id }: Awaited<ReturnType<Launching['createJoinToken']>>,
  ): Promise<Refused | Unavailable | undefined> {
    try {
      if (await batch.hand(id, token)) return undefined;
    } catch (error) {
      await fromServer(() => server.withdrawJoinToken({ queue, token_id }));
      if (error instanceof Refused || error instanceof Unavailable) return error;
      throw error;
    }
    // One lies there from an earlier launcher: making this one has voided it.
    await fromServer(() => server.withdrawJoinToken({ queue, token_id }));
    return new Refused('an older token lies there, which the pilot has not taken', null);
  }

  async function giveUp(due: readonly (readonly [BatchId, Pilot])[]): Promise<void> {
    if (due.length === 0) return;
    for (const [id] of due) say(`gives up pilot ${id}: it gets no token`);
    await fromBatch(() => batch.cancel(due.map(([id]) => id)));
  }

  /** Submits pilots that are missing, and cancels those that are too many. */
  async function adjust(): Promise<void> {
    const pending = [...pilots].filter(([, { seen }]) => seen.state === 'pending').map(([id]) => id);
    if (isDraining) return cancel(pending);
    const load = await fromServer(() => server.getLoad({ queue }));
    if (!load) return;
    const wanted = wantedPending(load, { running: pilots.size - pending.length }, settings);
    surplusRounds = pending.length > wanted ? surplusRounds + 1 : 0;
    if (surplusRounds > PATIENT_ROUNDS) {
      surplusRounds = 0;
      await cancel(pending.slice(wanted));
    }
    await submit(Math.min(wanted - pending.length, MAX_SUBMITS_A_ROUND));
  }

  async function cancel(ids: readonly BatchId[]): Promise<void> {
    if (ids.length === 0) return;
    say(`cancels ${ids.length} ${ids.length === 1 ? 'pilot' : 'pilots'} that ${ids.length === 1 ? 'waits' : 'wait'}`);
    await fromBatch(() => batch.cancel(ids));
  }

  async function submit(count: number): Promise<void> {
    for (let left = count; left > 0 && !isDraining && !earlyEnds.isWaiting(); left--) {
      const id = await tried('submitting', submitTrouble, () => batch.submit(pilot));
      if (id === undefined) return;
      pilots.set(id, { seen: { state: 'pending' }, isServed: false, failedHandOvers: 0 });
      say(`submitted pilot ${id}`);
    }
  }

  function fromServer<T>(act: () => Promise<T>): Promise<T | undefined> {
    return tried('the server', serverTrouble, act);
  }

  function fromBatch<T>(act: () => Promise<T>): Promise<T | undefined> {
    return tried('the batch system', batchTrouble, act);
  }

  /**
   * Tries what may fail now and succeed later, and not while an earlier failure asks to wait.
   *
   * @returns undefined when it failed, or was not tried
   */
  async function tried<T>(what: string, setbacks: Setbacks, act: () => Promise<T>): Promise<T | undefined> {
    if (setbacks.isWaiting()) return undefined;
    try {
      const result = await act();
      setbacks.succeeded();
      if (said.delete(what)) say(`${what}: works again`);
      return result;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unavailable)) throw error;
      setbacks.failed();
      tell(what, error.message);
      return undefined;
    }
  }

  /** Says trouble once, and again when it becomes another. */
  function tell(what: string, trouble: string): void {
    if (said.get(what) !== trouble) say(`${what}: ${trouble}`);
    said.set(what, trouble);
  }
}
