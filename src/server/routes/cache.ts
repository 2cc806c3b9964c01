import type { FastifyInstance } from 'fastify';
import type { Sandboxes } from '../../jobs/sandboxes.ts';
import { checkCaller, type Identity } from '../plugins/authentication.ts';
import { payloadOfFile } from '../route.ts';

/**
 * `GET /cache/FILENAME` under a task's `sourceURL`: the sandbox of a task that has not ended. Our pilots fetch it with their session.
 * PanDA's have no token where they fetch it: the name does, which holds a random UUID that its owner, this server and the
 * pilots of its jobs know.
 */
export function cacheRoutes(app: FastifyInstance, rooms: Identity & { sandboxes: Sandboxes }): void {
  app.register(async (cache) => {
    checkCaller(cache, rooms);
    cache.get<{ Params: { name: string } }>('/cache/:name', async (request, reply) =>
      payloadOfFile(reply, await rooms.sandboxes.open(request.params.name)),
    );
  });
}
