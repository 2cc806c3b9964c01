import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../../identity/caller.ts';
import type { Owners } from '../../identity/owners.ts';
import { type PilotSessions, ProvenRefusal } from '../../identity/pilot-sessions.ts';
import { Forbidden, Unauthenticated } from '../../protocol/errors.ts';
import type { OwnerId } from '../../protocol/ids.ts';
import { keepProofs } from './proven-request.ts';
import { requireSecureTransport } from './transport.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    owner: OwnerId | null;
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may make the call that the route serves; anybody without it. */
    caller?: Caller['kind'] | 'any';
  }
}

export interface Identity {
  /** @throws {Unauthenticated} */
  verifyToken(token: string): Promise<Caller>;
  pilots: PilotSessions;
  owners: Owners;
}

/** Every server has it once: what the routes of {@link requireCaller} fill in. */
export function decorateCaller(app: FastifyInstance): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('owner', null);
  app.decorateRequest('proven', null);
  app.decorateRequest('proveAnswer', null);
  app.decorateRequest('isBodyUnproven', false);
}

/**
 * Every route of this scope answers only callers of that kind, over a secure line. It is decided before the body is read. An
 * operator is a user as well. A user becomes the owner of what it does under a user's calls.
 */
export function requireCaller(app: FastifyInstance, identity: Identity, kind: Caller['kind'] | 'any'): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, caller: kind };
  });
  app.addHook('onRequest', async (request, reply) => {
    request.refuseFlood();
    requireSecureTransport(request);
    const caller = await whoCalls(request, identity).catch((error) => askForToken(error, request, reply));
    request.caller = caller;
    if (kind !== 'any' && !isOfKind(caller, kind)) throw new Forbidden(WRONG_KIND[kind](caller));
    if (kind === 'user') request.owner = await identity.owners.of(caller);
  });
  keepProofs(app);
}

/** Routes of this scope answer a caller without a token too, over a secure line; one that names itself must prove it. */
export function checkCaller(app: FastifyInstance, identity: Identity): void {
  app.addHook('onRequest', async (request, reply) => {
    requireSecureTransport(request);
    if (request.headers.authorization === undefined) return;
    request.refuseFlood();
    request.caller = await whoCalls(request, identity).catch((error) => askForToken(error, request, reply));
  });
  keepProofs(app);
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

/** A bearer token says who calls; a pilot with a session proves it for each request. */
async function whoCalls(request: FastifyRequest, { verifyToken, pilots }: Identity): Promise<Caller> {
  const { authorization, dpop } = request.headers;
  if (!authorization) {
    throw new Unauthenticated('no token: this call needs the header "Authorization: Bearer TOKEN"');
  }
  const [, scheme, token] = /^(bearer|dpop) +(\S+) *$/i.exec(authorization) ?? [];
  if (!scheme || !token) throw new Unauthenticated('the Authorization header must read "Bearer TOKEN"');
  if (scheme.toLowerCase() === 'bearer') return verifyToken(token);

  const [path = '', ...query] = request.raw.url?.split('?') ?? [];
  const received = { method: request.method, path, query: query.join('?') };
  const proof = typeof dpop === 'string' ? dpop : undefined;
  const { hasTime } = request.routeOptions.config.call ?? {};
  const proven = await pilots.authenticate(token, proof, received, { hasTime });
  request.proven = proven;
  request.proveAnswer = proven.proveAnswer;
  return proven.caller;
}

/**
 * With a refused token goes what tells a program that another token would help (RFC 6750, section 3), though the status is 200. A pilot
 * with a session, for which none would, gets 401 instead, with the proof that it is the server that refuses.
 */
function askForToken(error: unknown, request: FastifyRequest, reply: FastifyReply): never {
  if (error instanceof ProvenRefusal) request.proveAnswer = error.proveAnswer;
  if (error instanceof Unauthenticated) {
    reply.header('WWW-Authenticate', request.headers.dpop === undefined ? 'Bearer' : 'DPoP');
  }
  throw error;
}

function isOfKind(caller: Caller, kind: Caller['kind']): boolean {
  return caller.kind === kind || (kind === 'user' && caller.kind === 'operator');
}

/** That for pilots begins with PanDA's words. */
const WRONG_KIND: Record<Caller['kind'], (caller: Caller) => string> = {
  user: (caller) => `this call is for users, and the token is a ${caller.kind}'s`,
  operator: (caller) => `this call is for operators, and the token is a ${caller.kind}'s`,
  launcher: (caller) => `this call is for launchers of pilots, and the token is a ${caller.kind}'s`,
  pilot: () => 'production or pilot role required: this call is for pilots, and the token is not one of theirs',
};
