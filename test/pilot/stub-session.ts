import { createSecretKey, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { decodeJwt } from 'jose';
import { ANSWER_HEADER, proveAnswer } from '../../src/protocol/answer-proof.ts';
import type { JoinedPilot } from '../../src/protocol/calls/pilot-session.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { refused, succeeded } from '../../src/protocol/envelope.ts';
import {
  answerKeyOf,
  answerMac,
  formatJoinToken,
  isSameMac,
  type JoinToken,
  joinKeyOf,
  requestMac,
} from '../../src/protocol/join.ts';

/** The pilot that {@link stubToken} lets in, as often as it comes. */
export const PILOT_ID = 'pilot-test';
const TOKEN: JoinToken = { id: 'join-00112233aabbccdd', secret: Buffer.alloc(32, 7) };
const YEAR_MILLISECONDS = 365 * 24 * 3600 * 1000;

/** The join token that the stub takes. */
export function stubToken(): string {
  return formatJoinToken(TOKEN);
}

/** The server's part of pilots' sessions, for one pilot with as many sessions as it likes. Proofs are read, not checked. */
export function stubSessions() {
  const joinKey = joinKeyOf(TOKEN);
  /** By the public key that signs. */
  const answerKeys = new Map<string, KeyObject>();

  return {
    /** Answers `pilot/join`. */
    join(body: Record<string, string>): Envelope {
      const { token_id: tokenId = '', queue = '', node = '', public_key: publicKey = '', nonce = '', mac = '' } = body;
      if (!isSameMac(mac, requestMac(joinKey, { tokenId, queue, node, publicKey, nonce }))) {
        return refused('whose token is that?');
      }
      answerKeys.set(publicKey, createSecretKey(answerKeyOf(joinKey, mac, PILOT_ID)));
      const serverTime = Date.now();
      const answer = { pilotId: PILOT_ID, queue, expiresAt: serverTime + YEAR_MILLISECONDS, serverTime };
      return succeeded({
        pilot_id: PILOT_ID,
        queue,
        expires_at: answer.expiresAt,
        server_time: serverTime,
        mac: answerMac(joinKey, mac, answer),
      } satisfies JoinedPilot);
    },
    /** The headers that prove an answer with status 200, or nothing when a request is not in a session. */
    prove({ headers }: IncomingMessage, body: string): Record<string, string> | undefined {
      if (headers.authorization !== `DPoP ${PILOT_ID}`) return undefined;
      const proof = String(headers['dpop']);
      const header = JSON.parse(Buffer.from(proof.split('.')[0] ?? '', 'base64url').toString());
      const key = answerKeys.get(header.jwk.x);
      return (
        key && {
          [ANSWER_HEADER]: proveAnswer(key, { jti: String(decodeJwt(proof).jti), status: 200, body }, Date.now()),
        }
      );
    },
  };
}
