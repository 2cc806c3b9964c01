import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { fetchSandbox } from '../../src/pilot/fetch-sandbox.ts';
import { Declined, InvalidArgument, Refused, Unavailable, UnknownCall } from '../../src/protocol/errors.ts';
import { archive } from './archives.ts';
import { temporaryFolder } from './folders.ts';

const never = new AbortController().signal;

/** A server that sends `content` for every sandbox. */
function source(content: () => Readable, { origin = 'https://panda.example.org', sha256 = '' } = {}) {
  const asked: string[] = [];
  const server = {
    async downloadSandbox(url: string) {
      asked.push(url);
      return content();
    },
  };
  return { server, origin, name: 'jobO.x.tar.gz', sha256: sha256 || undefined, asked };
}

test('a sandbox is unpacked into its directory', async (t) => {
  const directory = await temporaryFolder(t);
  const from = source(() => Readable.from([archive({ path: 'a', content: 'x' })]));
  await fetchSandbox(from, directory, never);
  assert.equal(readFileSync(join(directory, 'a'), 'utf8'), 'x');
  assert.deepEqual(from.asked, ['https://panda.example.org/cache/jobO.x.tar.gz']);
});

test('one that nothing proves comes over https alone, and another than was submitted is refused', async (t) => {
  const directory = await temporaryFolder(t);
  const content = () => Readable.from([archive({ path: 'a', content: 'x' })]);
  const plain = source(content, { origin: 'http://panda.example.org' });
  await assert.rejects(fetchSandbox(plain, directory, never), InvalidArgument);
  assert.deepEqual(plain.asked, []);
  const other = source(content, { origin: 'http://panda.example.org', sha256: '00'.repeat(32) });
  await assert.rejects(fetchSandbox(other, directory, never), Unavailable);
});

test('one that is refused is not asked for again, one whose server is away is', async (t) => {
  const directory = await temporaryFolder(t);
  for (const refused of [new Refused('gone', null), new UnknownCall('gone'), new Declined('not yours')]) {
    const from = source(() => {
      throw from.asked.length === 1 ? refused : new Error('asked again');
    });
    await assert.rejects(fetchSandbox(from, directory, never), refused);
  }
  const later = source(() => {
    if (later.asked.length === 1) throw new Unavailable('away');
    return Readable.from([archive({ path: 'a', content: 'x' })]);
  });
  await fetchSandbox(later, directory, never);
  assert.equal(later.asked.length, 2);
});

test('one that comes too slowly holds no slot for ever', async (t) => {
  const directory = await temporaryFolder(t);
  const trickle = new Readable({ read() {} });
  await assert.rejects(
    fetchSandbox(
      source(() => trickle),
      directory,
      never,
      0.1,
    ),
    /did not come within 0.1 s/,
  );
  assert.equal(trickle.destroyed, true);
});
