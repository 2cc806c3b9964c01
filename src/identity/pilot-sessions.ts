import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { appendAudit, SYSTEM } from '../audit/audit.ts';
import { type Tell, tellNobody } from '../events/events.ts';
import { proveAnswer } from '../protocol/answer-proof.ts';
import { Conflict, Forbidden, Unauthenticated } from '../protocol/errors.ts';
import { answerKeyOf, answerMac, isSameMac, type JoinAnswer, type JoinRequest, requestMac } from '../protocol/join.ts';
import {
  DAY_MILLISECONDS,
  KEEP_PILOTS_DAYS,
  MAX_REMEMBERED_PILOTS,
  MAX_SHOWN_CHARS,
  PILOT_SESSION_SECONDS,
  PROOF_SECONDS,
} from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import { deleteJoinTokensEndedBefore, findJoinToken, noteRefusedUse, useJoinToken } from '../store/join-tokens.ts';
import {
  deleteEndedProofs,
  deletePilotsEndedBefore,
  endPilot,
  findPilot,
  insertPilot,
  type PilotRow,
} from '../store/pilots.ts';
import type { Store } from '../store/store.ts';
import { keepWrapped } from '../store/wrapped-keys.ts';
import { type Caller, EMBEDDED_ISSUER_ID } from './caller.ts';
import { batchFields, placeOfJoinKey } from './join-tokens.ts';
import { checkProof, importProofKey, type ProofKey, type ReceivedRequest } from './pilot-proof.ts';
import { type ListedPilot, stateOf } from './pilots.ts';
import { proofTaker } from './taken-proofs.ts';
import { type KeyWrapping, type Place, unwrapKey, wrapKey } from './wrapped-key.ts';

/** A request of a pilot that proved to hold its session's key. */
export interface ProvenRequest {
  caller: Caller;
  /** The digest that the body must have. */
  bodyDigest: string;
  /** The header that proves an answer to it (`protocol/answer-proof.ts`). */
  proveAnswer: ProveAnswer;
}

interface ProvenAnswer {
  status: number;
  body: string | Uint8Array;
}

export type ProveAnswer = (answer: ProvenAnswer) => string;

/**
 * The caller is the pilot, and is refused: its session has ended, or its clock is wrong. The answer is proven, as nothing that is not
 * ends a pilot or sets its clock.
 */
export class ProvenRefusal extends Unauthenticated {
  readonly proveAnswer: ProveAnswer;

  constructor(reason: string, proveAnswer: ProveAnswer) {
    super(reason);
    this.proveAnswer = proveAnswer;
  }
}

/** Pilots that were let in by a join token. Any number of servers may work on one store. */
export interface PilotSessions {
  /**
   * Opens a session for a pilot that proves to hold a join token, and uses the token up. The answer proves that this server knows it.
   *
   * @throws {Unauthenticated} when there is no such token, it has ended, or the proof is not good: the token stays as it is
   * @throws {Forbidden} when it is for another queue: the same
   * @throws {Conflict} when the proof is good and a pilot joined with the token before; it is noted for the operator
   */
  join(request: JoinRequest, mac: string): Promise<JoinAnswer & { mac: string }>;
  /**
   * The pilot that a request is from, by its proof, which is taken once. The session's row says which queue the pilot serves.
   *
   * @param pilotId stands for the access token in `Authorization: DPoP`
   * @param options `hasTime`: an answer a moment later, up to `PATIENT_PROOF_MILLISECONDS`, does for the pilot as well
   * @throws {ProvenRefusal} when the pilot made the proof, and its session has ended or the proof is of another time
   * @throws {Unauthenticated} saying what else is wrong
   */
  authenticate(
    pilotId: string,
    proof: string | undefined,
    request: ReceivedRequest,
    options?: { hasTime?: boolean | undefined },
  ): Promise<ProvenRequest>;
  /** True when a request of that session was found good before by this server, or it was opened here, and has not ended by time. */
  isKnown(pilotId: string): boolean;
  /** The pilot's own farewell. */
  leave(pilotId: string): Promise<void>;
  /** Removes what has ended. */
  removeEnded(): Promise<void>;
}

const SEEN_SECONDS = 60;

/** `clock` is in milliseconds. */
export function createPilotSessions({
  store,
  rootKeys,
  clock,
  tell = tellNobody,
  keepDays = () => KEEP_PILOTS_DAYS,
}: {
  store: Store;
  rootKeys: KeyWrapping;
  clock: () => number;
  tell?: Tell;
  /** Sessions and join tokens that ended stay so long for their operator to see. */
  keepDays?: (() => number | undefined) | undefined;
}): PilotSessions {
  /** By all that they are bound to, so that a row that was changed meanwhile is opened, and refused, anew. */
  const keys = new LRUCache<string, { proofKey: ProofKey; answerKey: KeyObject }>({ max: MAX_REMEMBERED_PILOTS });

  const proofs = proofTaker(store);

  /** Sessions that proved themselves here, and when each ends. */
  const known = new LRUCache<string, number>({ max: MAX_REMEMBERED_PILOTS });

  async function keysOf(pilot: PilotRow) {
    const place = placeOfAnswerKey(pilot);
    const remembered = keys.get(place.join());
    if (remembered) return remembered;
    const answerKey = createSecretKey(await unwrapKey(rootKeys, pilot, place));
    const found = { proofKey: importProofKey(pilot.public_key), answerKey };
    keys.set(place.join(), found);
    return found;
  }

  return {
    async join(request, mac) {
      const now = clock();
      const token = await findJoinToken(store.db, request.tokenId);
      if (!token) throw unknownToken();
      const joinKey = await unwrapKey(rootKeys, token, placeOfJoinKey(token));
      if (!isSameMac(mac, requestMac(joinKey, request))) throw unknownToken();
      if (token.expires_at <= now) throw new Unauthenticated('this join token has ended: make a new one');
      if (token.queue !== request.queue) {
        throw new Forbidden(`this join token is for queue "${token.queue}", not for "${request.queue}"`);
      }
      importProofKey(request.publicKey);

      const pilotId = `pilot-${randomUUID()}`;
      const pilot = {
        id: pilotId,
        queue: token.queue,
        node: shownText(request.node, MAX_SHOWN_CHARS),
        public_key: request.publicKey,
        created_at: now,
        seen_at: now,
        expires_at: now + PILOT_SESSION_SECONDS * 1000,
        launcher_id: token.launcher_id,
        batch_id: token.batch_id,
      };
      const isFirst = await keepWrapped(
        store,
        'write',
        rootKeys,
        (active) => wrapKey(active, answerKeyOf(joinKey, mac, pilotId), placeOfAnswerKey(pilot)),
        async (tx, wrapped) => {
          if (!(await useJoinToken(tx, token.id, { pilotId, now }))) return false;
          await insertPilot(tx, { ...pilot, ...wrapped });
          return true;
        },
      );
      if (!isFirst) throw await secondUse(request, now);
      known.set(pilotId, pilot.expires_at);
      const answer = { pilotId, queue: pilot.queue, expiresAt: pilot.expires_at, serverTime: now };
      return { ...answer, mac: answerMac(joinKey, mac, answer) };
    },

    async authenticate(pilotId, proof, request, { hasTime = false } = {}) {
      const now = clock();
      const [pilot] = await findPilot(store.db, { id: pilotId });
      if (!pilot) throw new Unauthenticated('there is no such pilot: join again, with a new token');
      const { proofKey, answerKey } = await keysOf(pilot);
      const session = { pilotId, publicKey: pilot.public_key, key: proofKey };
      const { jti, iat, body_sha256: bodyDigest } = checkProof(proof, session, request);
      const proven = (answer: ProvenAnswer) => proveAnswer(answerKey, { jti, ...answer }, clock());
      refuseEnded(pilot, now, proven);
      if (Math.abs(iat - now / 1000) > PROOF_SECONDS) {
        const reason = `it is more than ${PROOF_SECONDS} seconds from the server's time`;
        throw new ProvenRefusal(`the proof on this request is not good: ${reason}`, proven);
      }
      // Kept until a proof of its age is refused anyway, also by a server whose clock is behind.
      const expiresAt = Math.ceil((iat + 2 * PROOF_SECONDS) * 1000);
      const seenAt = now - pilot.seen_at > SEEN_SECONDS * 1000 ? now : undefined;
      const isFirst = await proofs.take({ pilot_id: pilotId, jti, expires_at: expiresAt, seenAt }, { hasTime });
      if (!isFirst) throw new Unauthenticated('the proof on this request was used already: a request is taken once');
      known.set(pilotId, pilot.expires_at);
      return {
        caller: pilotCaller(pilot),
        bodyDigest,
        proveAnswer: proven,
      };
    },

    isKnown(pilotId) {
      return (known.get(pilotId) ?? 0) > clock();
    },

    async leave(pilotId) {
      known.delete(pilotId);
      await store.write((tx) => endPilot(tx, pilotId, { now: clock(), by: 'pilot' }));
    },

    async removeEnded() {
      const now = clock();
      await store.write(async (tx) => {
        await deleteEndedProofs(tx, now);
        const days = keepDays();
        if (days === undefined) return;
        await deletePilotsEndedBefore(tx, now - days * DAY_MILLISECONDS);
        await deleteJoinTokensEndedBefore(tx, now - days * DAY_MILLISECONDS);
      });
    },
  };

  async function secondUse({ tokenId, node, publicKey }: JoinRequest, now: number): Promise<Conflict> {
    const used = await findJoinToken(store.db, tokenId);
    const isSameKey = used?.used_by_key === publicKey;
    await store.write(async (tx) => {
      await noteRefusedUse(tx, tokenId, {
        refused_at: now,
        refused_node: shownText(node, MAX_SHOWN_CHARS),
        refused_same_key: isSameKey ? 1 : 0,
      });
      // Anybody on the way can repeat a request as often as they like; another key takes the token itself.
      if (!isSameKey) await appendAudit(tx, clock, SYSTEM, 'server', 'join.refuse', { token: tokenId });
    });
    if (!isSameKey) tell({ event: 'login.refused', how: 'used token' });
    return new Conflict(
      `this join token was used already, by a pilot on "${used?.used_on ?? 'a node that is forgotten'}": each lets one pilot in, once. ` +
        'Make a new one; if that pilot is not yours, tell the operator, who sees both ("panda-secrets pilot list")',
    );
  }
}

function refuseEnded(pilot: PilotRow, now: number, prove: ProveAnswer): void {
  const state = stateOf(pilot, now);
  if (state === 'active') return;
  throw new ProvenRefusal(`this pilot's session has ended: ${ENDS[state]}. Join again, with a new token`, prove);
}

const ENDS: Record<Exclude<ListedPilot['state'], 'active'>, string> = {
  silent: 'it was silent for too long',
  expired: 'it was opened long ago',
  'ended by operator': 'the operator ended it',
  'ended by launcher': 'its launcher found that its batch job had ended',
  'ended by pilot': 'the pilot left',
};

function pilotCaller({ id, queue, node, expires_at }: PilotRow): Caller {
  return {
    kind: 'pilot',
    issuer: EMBEDDED_ISSUER_ID,
    subject: id,
    displayName: `pilot of ${queue} on ${node}`,
    nickname: undefined,
    groups: [],
    expiresAt: expires_at,
    queues: [queue],
    proven: true,
  };
}

/** The row's own columns that say what the pilot may do: changed in the database, its keys no longer open. */
export function placeOfAnswerKey(row: KeyPlace): Place {
  return ['pilot session', row.id, row.queue, row.public_key, String(row.expires_at), ...batchFields(row)];
}

type KeyPlace = Pick<PilotRow, 'id' | 'queue' | 'public_key' | 'expires_at' | 'launcher_id' | 'batch_id'>;

/** The same words whether there is no such token or the proof is wrong. */
function unknownToken(): Unauthenticated {
  return new Unauthenticated('this join token is unknown to this server, or the request was changed on its way');
}
