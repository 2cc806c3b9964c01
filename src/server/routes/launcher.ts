import type { FastifyInstance } from 'fastify';
import type { Caller } from '../../identity/caller.ts';
import type { Call } from '../../protocol/calls/call.ts';
import { LAUNCHER_CALLS } from '../../protocol/calls/launcher.ts';
import { succeeded } from '../../protocol/envelope.ts';
import type { Launching } from '../../protocol/launching.ts';
import { callerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** The acts of a launcher on its queues. */
export type LaunchingBy = (launcher: Caller) => Launching;

/** The calls of launchers: each is one function of {@link Launching}. */
export function launcherRoutes(app: FastifyInstance, launchingBy: LaunchingBy): void {
  for (const [name, call] of Object.entries(LAUNCHER_CALLS) as [keyof Launching, Call][]) {
    route(app, call, async (args, request) => {
      const act = launchingBy(callerOf(request))[name] as (args: unknown) => Promise<unknown>;
      return succeeded(await act(args));
    });
  }
}
