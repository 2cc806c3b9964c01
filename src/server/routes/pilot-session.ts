import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { callerId } from '../../identity/caller.ts';
import type { PilotSessions } from '../../identity/pilot-sessions.ts';
import * as calls from '../../protocol/calls/pilot-session.ts';
import { succeeded } from '../../protocol/envelope.ts';
import {
  Conflict,
  DecryptionFailed,
  Forbidden,
  MissingRootKey,
  type PandaError,
  Tampered,
} from '../../protocol/errors.ts';
import { callerOf } from '../plugins/authentication.ts';
import { requireSecureTransport } from '../plugins/transport.ts';
import { route } from '../route.ts';

/** A pilot gets a session by this call, which needs no other proof than the one it carries. */
export function joinRoute(app: FastifyInstance, pilots: PilotSessions, logger: Logger): void {
  app.addHook('onRequest', async (request) => {
    request.refuseFlood();
    requireSecureTransport(request);
  });
  route(app, calls.joinPilot, async (args, request) => {
    const { token_id: tokenId, queue, node, public_key: publicKey, nonce, mac } = args;
    try {
      const joined = await pilots.join({ tokenId, queue, node, publicKey, nonce }, mac);
      logger.info({ part: 'join', joinToken: tokenId, pilot: joined.pilotId, queue: joined.queue });
      return succeeded({
        pilot_id: joined.pilotId,
        queue: joined.queue,
        expires_at: joined.expiresAt,
        server_time: joined.serverTime,
        mac: joined.mac,
      } satisfies calls.JoinedPilot);
    } catch (error) {
      // From somebody who holds a token, which is more than a guess.
      if (error instanceof Conflict || error instanceof Forbidden) {
        logger.warn({ part: 'join', joinToken: tokenId, refused: (error as PandaError).code, node, from: request.ip });
      }
      if (error instanceof Tampered || error instanceof DecryptionFailed || error instanceof MissingRootKey) {
        const line = { part: 'join', joinToken: tokenId, fault: error.code, node, from: request.ip };
        logger.error(line, `no pilot joins with this token: ${error.message}`);
      }
      // A pilot's operator need not be the server's, and reads no log of it.
      if (error instanceof DecryptionFailed) {
        throw new DecryptionFailed(
          `the server's data of this join token was changed, and its operator has to look into it: ${error.message}`,
        );
      }
      throw error;
    }
  });
}

/** Under `requireCaller(app, identity, 'pilot')`. */
export function leaveRoute(app: FastifyInstance, pilots: PilotSessions): void {
  route(app, calls.leavePilot, async (_args, request) => {
    await pilots.leave(callerId(callerOf(request)));
    return succeeded(null, 'OK');
  });
}
