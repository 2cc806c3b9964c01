import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { parseBlobPlace } from '../../src/store/blob-place.ts';
import { openBlobStore } from '../../src/store/open-blob-store.ts';
import { filesBelow } from '../end-to-end/site.ts';
import { TEST_KEY } from '../stores.ts';
import { noS3, S3_ENVIRONMENT, startStorage } from './s3.ts';

/** The rights that the page for operators names. */
const PAGE = readFileSync(join(import.meta.dirname, '../../docs/operator-reference.md'), 'utf8');
const REFUSED = /these credentials may not read|away at the moment, or refuses it|parts of what was broken off/;
const RIGHTS = [...PAGE.matchAll(/`(s3:[A-Z]\w+)`/g)].map(([, right]) => right ?? '');

test('the rights that operators are told are enough, and each is needed', { skip: noS3 }, async (t) => {
  const storage = await startStorage(t);
  const user = { AWS_ACCESS_KEY_ID: 'panda-user', AWS_SECRET_ACCESS_KEY: 'of a user with few rights' };
  const { AWS_ACCESS_KEY_ID: root, AWS_SECRET_ACCESS_KEY: key } = S3_ENVIRONMENT;
  const words = ['admin', '--access', root, '--secret', key, '--endpoint-url', storage.endpoint];
  words.push(
    'create-user',
    '--access',
    user.AWS_ACCESS_KEY_ID,
    '--secret',
    user.AWS_SECRET_ACCESS_KEY,
    '--role',
    'user',
  );
  const made = spawnSync('versitygw', words, { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const operator = new S3Client({
    endpoint: storage.endpoint,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: root, secretAccessKey: key },
  });
  t.after(() => operator.destroy());
  Object.assign(process.env, user);
  t.after(() => Object.assign(process.env, S3_ENVIRONMENT));

  async function useWith(rights: readonly string[], prefix: string): Promise<void> {
    const Resource = ['arn:aws:s3:::panda', 'arn:aws:s3:::panda/*'];
    const statement = (Action: readonly string[], of: readonly string[]) => ({
      Effect: 'Allow',
      Principal: { AWS: user.AWS_ACCESS_KEY_ID },
      Action,
      Resource: of,
    });
    const isOfBucket = (right: string) => /List(Bucket|BucketMultipartUploads)$/.test(right);
    const Statement = [
      statement(
        rights.filter((right) => !isOfBucket(right)),
        Resource.slice(1),
      ),
      statement(rights.filter(isOfBucket), Resource.slice(0, 1)),
    ].filter(({ Action }) => Action.length > 0);
    await operator.send(
      new PutBucketPolicyCommand({ Bucket: 'panda', Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
    );
    const store = await openBlobStore(parseBlobPlace(storage.place(prefix)), { installation: TEST_KEY });
    try {
      await store.check();
      for (const size of [1000, 6 * 2 ** 20]) {
        const bytes = randomBytes(size);
        const { sha256 } = await store.blobs.put(Readable.from([bytes]), { maxBytes: size });
        assert.ok((await buffer((await store.blobs.get(sha256)).stream)).equals(bytes));
        assert.equal(await store.blobs.delete(sha256, Date.now() + 60_000), true);
      }
      const broken = Readable.from(
        (function* () {
          yield randomBytes(11 * 2 ** 20);
          throw new Error('broken off');
        })(),
      );
      await assert.rejects(store.blobs.put(broken, { maxBytes: 2 ** 30 }), /broken off/);
      await store.liveLogs.append({ jobId: 1, attempt: 1 }, { offset: 0, bytes: Buffer.from('x'), maxBytes: 10 });
      await store.liveLogs.remove([{ jobId: 1, attempt: 1 }]);
      await store.blobs.removeAbandoned();
      const parts = filesBelow(storage.folder).filter(({ bytes }) => bytes.length > 2 ** 20);
      assert.deepEqual(
        parts.map(({ path }) => path),
        [],
        'parts of what was broken off',
      );
    } finally {
      await store.close();
    }
  }
  assert.ok(RIGHTS.length > 3, RIGHTS.join());
  await useWith(RIGHTS, 'all');
  for (const right of RIGHTS) {
    const others = RIGHTS.filter((one) => one !== right);
    await assert.rejects(useWith(others, right.slice(3)), REFUSED, right);
  }
});
