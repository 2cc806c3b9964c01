import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { TRANSFORMATION_PATH } from '../../panda/pilot-job.ts';

/** The script that runs a job's parameters for pilots of PanDA's, for anyone: they download it without a token. */
export function transformationRoute(app: FastifyInstance): void {
  // In a source tree beside this file, in a package beside the bundle.
  const script = readFileSync(join(import.meta.dirname, 'transformation.py'));
  app.get(TRANSFORMATION_PATH, async (_request, reply) => reply.type('text/x-python; charset=utf-8').send(script));
}
