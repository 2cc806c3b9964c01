import type { FastifyInstance } from 'fastify';
import type { Sandboxes } from '../../jobs/sandboxes.ts';
import { sendFile } from '../route.ts';

/** `GET /cache/FILENAME` under a task's `sourceURL`: a sandbox, for the pilots that run its jobs. */
export function cacheRoutes(app: FastifyInstance, { sandboxes }: { sandboxes: Sandboxes }): void {
  app.get<{ Params: { name: string } }>('/cache/:name', async (request, reply) =>
    sendFile(reply, await sandboxes.open(request.params.name)),
  );
}
