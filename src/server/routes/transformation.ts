import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { TRANSFORMATION_PATH } from '../../panda/pilot-job.ts';
import { transformationScript } from './transformation-script.ts';

/** The script that runs a job's parameters for pilots of PanDA's, for anyone: they download it without a token. */
export function transformationRoute(app: FastifyInstance): void {
  // In a source tree its parts lie beside this file; in a package the whole lies beside the bundle.
  const packaged = join(import.meta.dirname, 'transformation.py');
  const isSource = existsSync(join(import.meta.dirname, 'transformation_parts.py'));
  const script = isSource ? transformationScript(import.meta.dirname) : readFileSync(packaged, 'utf8');
  app.get(TRANSFORMATION_PATH, async (_request, reply) => reply.type('text/x-python; charset=utf-8').send(script));
}
