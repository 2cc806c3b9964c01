import type { FastifyInstance } from 'fastify';
import type { Sandboxes } from '../../jobs/sandboxes.ts';
import { requireSecureTransport } from '../plugins/transport.ts';
import { sendFile } from '../route.ts';

/**
 * `GET /cache/FILENAME` under a task's `sourceURL`: a sandbox, for whoever knows its name. Jobs fetch it where no token is: PanDA's
 * pilots do not hand theirs on. The name holds a random UUID, which its owner, this server and the pilots of its jobs know.
 */
export function cacheRoutes(app: FastifyInstance, { sandboxes }: { sandboxes: Sandboxes }): void {
  app.get<{ Params: { name: string } }>('/cache/:name', async (request, reply) => {
    requireSecureTransport(request);
    return sendFile(reply, await sandboxes.open(request.params.name));
  });
}
