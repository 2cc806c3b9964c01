import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EMBEDDED_ISSUER_ID } from '../../identity/caller.ts';
import * as calls from '../../protocol/calls/login.ts';
import { succeeded } from '../../protocol/envelope.ts';
import { Forbidden } from '../../protocol/errors.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { callerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** A person's own logins and password. */
export function ownLoginRoutes(app: FastifyInstance, { logins, signIn }: LoginRooms): void {
  route(app, calls.listLogins, async (_args, request) => {
    const listed = (await logins.list(subjectOf(request))).map(
      ({ id, claim, kind, program, device, address, createdAt, usedAt, expiresAt }): calls.ListedLogin => ({
        id,
        kind,
        program,
        device,
        address,
        created_at: isoTime(createdAt),
        used_at: isoTime(usedAt),
        expires_at: isoTime(expiresAt),
        current: claim === callerOf(request).login,
      }),
    );
    return succeeded(listed);
  });

  route(app, calls.endLogin, async ({ id }, request) => {
    await logins.end(subjectOf(request), id);
    return succeeded(null, 'OK');
  });

  route(app, calls.endAllLogins, async (_args, request) => {
    await logins.endAll(subjectOf(request));
    return succeeded(null, 'OK');
  });

  route(app, calls.changePassword, async ({ current, password }, request) => {
    await signIn.changePassword(subjectOf(request), current, password);
    return succeeded(null, 'OK');
  });
}

/** @throws {Forbidden} for a user of another issuer, which keeps their logins and password */
function subjectOf(request: FastifyRequest): string {
  const { issuer, subject } = callerOf(request);
  if (issuer === EMBEDDED_ISSUER_ID) return subject;
  throw new Forbidden(
    `you log in with "${issuer}": your password and your logins are kept there, and not on this server`,
  );
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
