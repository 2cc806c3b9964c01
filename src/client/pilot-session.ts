import { createSecretKey, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { ANSWER_HEADER, checkAnswer } from '../protocol/answer-proof.ts';
import { Unauthenticated, Unavailable } from '../protocol/errors.ts';
import { answerKeyOf, answerMac, isSameMac, type JoinToken, joinKeyOf, requestMac } from '../protocol/join.ts';
import { PROOF_SECONDS } from '../protocol/limits.ts';
import { digestOf, PROOF_ALGORITHM, PROOF_TYPE, type RequestProof } from '../protocol/request-proof.ts';
import type { ConnectionOptions, RequestSigner } from './requester.ts';
import { createTransport } from './transport.ts';

/** A pilot's session: it signs each request by a key that is in this process's memory alone, and checks each answer. */
export interface PilotSession extends RequestSigner {
  /** The pilot as the server knows it, to which deliveries are bound. */
  readonly pilotId: string;
  readonly queue: string;
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt: number;
}

/**
 * Makes a key for a session and the request to join by it. What it returns sends that request, the same each time: when there is
 * no connection it may be repeated. It throws `Refused` when the server does not let the pilot in, `Unavailable` when there is no
 * answer, and `Unauthenticated` when what answers does not know the token: then it is not the server.
 *
 * @param options `node`: the name of this machine, for show
 */
export async function prepareJoin(
  connection: Omit<ConnectionOptions, 'token' | 'signer'>,
  { token, queue, node }: { token: JoinToken; queue: string; node: string },
): Promise<() => Promise<PilotSession>> {
  const { publicKey, privateKey } = await generateKeyPair(PROOF_ALGORITHM, { extractable: false });
  const { kty, crv, x } = await exportJWK(publicKey);
  const jwk = { kty, crv, x } as JWK & { x: string };
  const joinKey = joinKeyOf(token);
  const nonce = randomBytes(32).toString('base64url');
  const request = { tokenId: token.id, queue, node, publicKey: jwk.x, nonce };
  const mac = requestMac(joinKey, request);

  return async () => {
    const transport = createTransport(connection);
    try {
      const { data } = await transport.post('pilot/join', {
        token_id: token.id,
        queue,
        node,
        public_key: jwk.x,
        nonce,
        mac,
      });
      const { pilot_id: pilotId, expires_at: expiresAt, server_time: serverTime } = data;
      const answer = { pilotId, queue: data.queue, expiresAt, serverTime };
      if (data.queue !== queue || !isSameMac(String(data.mac), answerMac(joinKey, mac, answer))) {
        throw new Unauthenticated(
          `the server at ${transport.origin} does not know this join token: something else answers in its place`,
        );
      }
      const answerKey = createSecretKey(answerKeyOf(joinKey, mac, pilotId));
      return createPilotSession({ ...answer, jwk, privateKey, answerKey });
    } finally {
      transport.close();
    }
  };
}

/** That of a refusal which is about the session, not about what was asked. */
const REFUSED_STATUS = 401;

interface OpenedSession {
  pilotId: string;
  queue: string;
  expiresAt: number;
  serverTime: number;
  jwk: JWK;
  privateKey: CryptoKey;
  answerKey: KeyObject;
}

function createPilotSession(opened: OpenedSession): PilotSession {
  const { pilotId, queue, expiresAt, jwk, privateKey, answerKey } = opened;
  const ath = digestOf(pilotId);
  const header = { alg: PROOF_ALGORITHM, typ: PROOF_TYPE, jwk };
  const clock = followClock(opened.serverTime);

  return {
    pilotId,
    queue,
    expiresAt,
    async sign({ method, url, bodyDigest }) {
      if (clock.now() >= expiresAt) {
        throw new Unauthenticated(
          "this pilot's session has ended: it was opened long ago. Join again, with a new token",
        );
      }
      const jti = randomUUID();
      const claims: RequestProof = {
        jti,
        htm: method,
        htu: url.origin + url.pathname,
        iat: Math.floor(clock.now() / 1000),
        ath,
        query: url.search.slice(1),
        body_sha256: bodyDigest,
      };
      const proof = await new SignJWT({ ...claims }).setProtectedHeader(header).sign(privateKey);
      return {
        headers: { Authorization: `DPoP ${pilotId}`, DPoP: proof },
        check(answer, body) {
          const status = answer.statusCode ?? 0;
          const serverTime = checkAnswer(answerKey, { jti, status, body }, headerOf(answer, ANSWER_HEADER));
          if (serverTime === undefined) throw unproven(answer, body, url);
          clock.set(serverTime);
          if (status !== REFUSED_STATUS) return;
          if (Math.abs(serverTime - claims.iat * 1000) > PROOF_SECONDS * 1000) {
            throw new Unavailable(`${url.origin} has changed its clock; this pilot follows it`);
          }
          throw new Unauthenticated(`${url.origin} does not accept this pilot: ${messageOfRefusal(body)}`);
        },
      };
    },
  };
}

/** The server's clock as its answers tell it: this machine's may be wrong, and may be set meanwhile. */
function followClock(serverTime: number) {
  let offset = serverTime - performance.now();
  return {
    now: () => performance.now() + offset,
    set(time: number) {
      offset = time - performance.now();
    },
  };
}

/** Nobody can say that this is the server's own answer: it does not end the pilot, which tries again. */
function unproven({ statusCode }: IncomingMessage, body: Uint8Array, url: URL): Unavailable {
  const said = messageOfRefusal(body);
  return new Unavailable(
    `${url.origin}${url.pathname} answered (HTTP ${statusCode}${said === undefined ? '' : `, "${said}"`}) without the proof that it is ` +
      'the server: it has a problem, does not know this pilot, or something between changed the answer',
  );
}

function messageOfRefusal(body: Uint8Array): string | undefined {
  try {
    const { success, message } = JSON.parse(Buffer.from(body).toString('utf8'));
    return success === false && typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
