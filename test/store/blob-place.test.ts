import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobPlaceName, parseBlobPlace } from '../../src/store/blob-place.ts';

const S3 = { bucket: 'panda', prefix: '', region: undefined, endpoint: undefined, caFile: undefined };

for (const [uri, place, name] of [
  ['s3://panda', { s3: S3 }, 's3://panda/'],
  ['s3://panda/a/b', { s3: { ...S3, prefix: 'a/b/' } }, 's3://panda/a/b/'],
  [
    's3://panda/a/?region=eu-1&endpoint=https://s3.example.org:9000&ca=/etc/ca.pem',
    {
      s3: {
        bucket: 'panda',
        prefix: 'a/',
        region: 'eu-1',
        endpoint: 'https://s3.example.org:9000',
        caFile: '/etc/ca.pem',
      },
    },
    's3://panda/a/ at https://s3.example.org:9000',
  ],
  [
    's3://panda?endpoint=http://127.0.0.1:9000/',
    { s3: { ...S3, endpoint: 'http://127.0.0.1:9000' } },
    's3://panda/ at http://127.0.0.1:9000',
  ],
  ['file:/srv/files', { folder: '/srv/files' }, '/srv/files'],
] as const) {
  test(`${uri} is a place for files`, () => {
    assert.deepEqual(parseBlobPlace(uri), place);
    assert.equal(blobPlaceName(parseBlobPlace(uri)), name);
  });
}

for (const [uri, reason] of [
  ['/srv/files', /is no place for files/],
  ['file://host/srv/files', /is no place for files/],
  ['https://panda.s3.example.org', /is no place for files/],
  ['s3:///a', /names no bucket/],
  ['s3://panda/a%2f..', /has a prefix of other characters/],
  ['s3://panda/a?color=red', /has an unknown parameter; known are region, endpoint, ca/],
  ['s3://panda/a?region=x&region=y', /has "region" twice/],
  ['s3://panda?endpoint=http://s3.example.org', /plain http: on this machine alone/],
  ['s3://panda?endpoint=https://s3.example.org/path', /has an endpoint that is not/],
  ['s3://AKIA:never-shown@panda', /has credentials in it/],
  ['s3://panda?secret_access_key=never-shown', /has credentials in it/],
  ['s3://panda?endpoint=https://AKIA:never-shown@s3.example.org', /has credentials in it/],
] as const) {
  test(`${uri} is refused as a place for files`, () => {
    assert.throws(
      () => parseBlobPlace(uri),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_MISCONFIGURED');
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /never-shown/);
        return true;
      },
    );
  });
}
