import { Type } from 'typebox';
import { call, MAX_WHOLE, Nothing } from './call.ts';

/** Found: the message `FOUND:HOST:FILENAME`, HOST without a port (PanDA's client adds its own); otherwise any other message. */
export const validateCacheFile = call({
  path: 'file_server/validate_cache_file',
  http: 'POST',
  panda: true,
  summary: 'Asks for a sandbox of this size and checksum. If it is there, the message is `FOUND:HOST:FILENAME`.',
  parameters: Type.Object({
    file_size: Type.Integer({ minimum: 0, maximum: MAX_WHOLE, description: 'bytes', examples: [1234] }),
    checksum: Type.Integer({
      maximum: MAX_WHOLE,
      description: 'the CRC-32 that stands in the last eight bytes of the gzip file, before the length',
      examples: [305419896],
    }),
  }),
  answer: Nothing,
});

/** Multipart, field `file`; the file name is `jobO.UUID.tar.gz` or `sources.UUID.tar.gz`. Download: `GET /cache/FILENAME`. */
export const uploadCacheFile = call({
  path: 'file_server/upload_cache_file',
  http: 'POST',
  panda: true,
  summary: 'Uploads a sandbox (multipart, field `file`).',
  parameters: Type.Object({}),
  body: 'multipart/form-data',
  answer: Nothing,
});
