import multipart from '@fastify/multipart';
import type { FastifyInstance } from 'fastify';
import type { Sandboxes } from '../../jobs/sandboxes.ts';
import * as calls from '../../protocol/calls/file-server.ts';
import { refused, succeeded } from '../../protocol/envelope.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import { MAX_SOURCES_BYTES } from '../../protocol/limits.ts';
import { ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** Sandboxes: the archives that jobs start from. */
export async function fileServerRoutes(app: FastifyInstance, { sandboxes }: { sandboxes: Sandboxes }): Promise<void> {
  route(app, calls.validateCacheFile, async ({ file_size: size, checksum }, request) => {
    const name = await sandboxes.find(ownerOf(request), size, checksum);
    // A client adds its own port to the host.
    return name === undefined ? refused('not found: upload it') : succeeded(null, `FOUND:${request.hostname}:${name}`);
  });

  await app.register(async (uploads) => {
    // The parser would cut a file at its limit without a word; beyond it, `sandboxes` refuses.
    await uploads.register(multipart, { limits: { files: 1, fields: 0, fileSize: MAX_SOURCES_BYTES + 1 } });
    route(uploads, calls.uploadCacheFile, async (_args, request) => {
      if (!request.isMultipart())
        throw new InvalidArgument("missing a required argument: 'file' (multipart/form-data)");
      const file = await request.file().catch(refuseBrokenForm);
      if (!file) throw new InvalidArgument("missing a required argument: 'file'");
      if (file.fieldname !== 'file') {
        file.file.resume();
        throw new InvalidArgument("the file must be in the field 'file'");
      }
      await sandboxes.put(ownerOf(request), file.filename, file.file).catch(refuseBrokenForm);
      return succeeded(null);
    });
  });
}

/** The parser's own errors have no class and no code: they are the client's fault. */
function refuseBrokenForm(error: Error & { code?: string }): never {
  if (error.constructor !== Error || error.code !== undefined) throw error;
  throw new InvalidArgument('the body is not a whole form (multipart/form-data)');
}
