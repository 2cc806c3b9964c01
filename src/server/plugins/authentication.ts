import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../../identity/caller.ts';
import type { Owners } from '../../identity/owners.ts';
import { Forbidden, Unauthenticated } from '../../protocol/errors.ts';
import type { OwnerId } from '../../protocol/ids.ts';
import { requireSecureTransport } from './transport.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    owner: OwnerId | null;
  }
}

export interface Identity {
  /** @throws {Unauthenticated} */
  verifyToken(token: string): Promise<Caller>;
  owners: Owners;
}

/** Every server has it once: what the routes of {@link requireCaller} fill in. */
export function decorateCaller(app: FastifyInstance): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('owner', null);
}

/**
 * Every route of this scope answers only a caller of that kind, over a secure line. It is decided before the body is read.
 * A user also becomes the owner of what it does.
 */
export function requireCaller(
  app: FastifyInstance,
  { verifyToken, owners }: Identity,
  kind: Caller['kind'] | 'any',
): void {
  app.addHook('onRequest', async (request) => {
    requireSecureTransport(request);
    const caller = await verifyToken(bearerToken(request));
    request.caller = caller;
    if (kind !== 'any' && caller.kind !== kind) throw new Forbidden(wrongKind(kind, caller));
    if (caller.kind === 'user') request.owner = await owners.of(caller);
  });
}

/** The caller of a route under {@link requireCaller}. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('a route that needs a caller stands outside requireCaller');
  return request.caller;
}

/** Whose things a route under `requireCaller(app, identity, 'user')` is about. */
export function ownerOf(request: FastifyRequest): OwnerId {
  if (!request.owner) throw new Error('a route that needs an owner stands outside requireCaller');
  return request.owner;
}

function bearerToken(request: FastifyRequest): string {
  const header = request.headers.authorization;
  if (!header) {
    throw new Unauthenticated('no token: this call needs the header "Authorization: Bearer TOKEN"');
  }
  const token = /^bearer +(\S+) *$/i.exec(header)?.[1];
  if (!token) throw new Unauthenticated('the Authorization header must read "Bearer TOKEN"');
  return token;
}

function wrongKind(kind: Caller['kind'], caller: Caller): string {
  return kind === 'user'
    ? `this call is for users, and the token is a ${caller.kind}'s`
    : 'production or pilot role required: this call is for pilots, and the token is not one of theirs';
}
