import type { FastifyInstance } from 'fastify';
import type { Caller } from '../../identity/caller.ts';
import type { Administration } from '../../protocol/administration.ts';
import { ADMIN_CALLS } from '../../protocol/calls/admin.ts';
import type { Call } from '../../protocol/calls/call.ts';
import { succeeded } from '../../protocol/envelope.ts';
import { callerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** The acts of an operator over the network. */
export type AdministrationBy = (operator: Caller) => Administration;

/** The calls of operators: each is one function of {@link Administration}. */
export function adminRoutes(app: FastifyInstance, administrationBy: AdministrationBy): void {
  for (const [name, call] of Object.entries(ADMIN_CALLS) as [keyof Administration, Call][]) {
    route(app, call, async (args, request) => {
      const act = administrationBy(callerOf(request))[name] as (args: unknown) => Promise<unknown>;
      return succeeded(await act(args));
    });
  }
}
