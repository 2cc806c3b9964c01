import { createHmac, type KeyObject } from 'node:crypto';
import { isSameMac } from './join.ts';
import { lengthPrefixed } from './length-prefixed.ts';

/**
 * The server puts this on each answer to a pilot with a session, in {@link ANSWER_HEADER}: its clock and a MAC under the
 * session's answer key. Whatever ends TLS on the way can so neither put another command into a job nor refuse a report in the
 * server's name.
 */
export const ANSWER_HEADER = 'panda-answer-proof';

/** The MAC covers this. `jti` is that of the request's proof: an answer is to one request. */
export interface ProvenAnswer {
  jti: string;
  status: number;
  body: Uint8Array | string;
}

/** The header's value. @param serverTime milliseconds since 1970 UTC */
export function proveAnswer(key: KeyObject, answer: ProvenAnswer, serverTime: number): string {
  return `${serverTime}.${mac(key, answer, String(serverTime))}`;
}

/** @returns the server's clock, or nothing when the header does not prove that answer */
export function checkAnswer(key: KeyObject, answer: ProvenAnswer, header: string | undefined): number | undefined {
  const [serverTime = '', given = ''] = header?.split('.') ?? [];
  return /^\d{1,16}$/.test(serverTime) && isSameMac(given, mac(key, answer, serverTime))
    ? Number(serverTime)
    : undefined;
}

function mac(key: KeyObject, { jti, status, body }: ProvenAnswer, serverTime: string): string {
  const head = lengthPrefixed('panda-secrets answer 1', jti, String(status), serverTime);
  return createHmac('sha256', key).update(head).update(body).digest('base64url');
}
