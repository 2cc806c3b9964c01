import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { putToken } from '../../../src/pilot/launcher/hand-over.ts';
import { temporaryFolder } from '../folders.ts';

const TOKEN = `join-0123456789abcdef.${'x'.repeat(43)}`;

test('a token that cannot be written is a refusal for its pilot alone, and leaves nothing', async (t) => {
  const folder = join(await temporaryFolder(t), 'tokens');
  mkdirSync(folder, { mode: 0o700 });
  // Longer than a file's name may be.
  const refusal = { code: 'ERR_REFUSED', message: /^the token cannot be written into ".*" \(ENAMETOOLONG\)$/ };
  await assert.rejects(putToken(join(folder, 'x'.repeat(250)), TOKEN), refusal);
  assert.equal(await putToken(join(folder, 'one'), TOKEN), true);
  assert.equal(await putToken(join(folder, 'one'), TOKEN), false);
  assert.deepEqual(readdirSync(folder), ['one']);
  chmodSync(folder, 0o750);
  await assert.rejects(putToken(join(folder, 'two'), TOKEN), { code: 'ERR_REFUSED', message: /chmod 700/ });
});

test('a token for which there is no room in memory is a refusal for its pilot alone', () => {
  const module = join(import.meta.dirname, '../../../src/pilot/launcher/hand-over.ts');
  const script = `import { withTokenFile } from ${JSON.stringify(module)};
    process.on('SIGXFSZ', () => {});
    await withTokenFile('${TOKEN}', () => 'handed').catch(({ code, message }) => console.log(code, message));`;
  const words = [process.execPath, '--input-type=module-typescript', '--eval', script];
  // A limit of no bytes for each file that it writes.
  const ran = spawnSync('sh', ['-c', 'ulimit -f 0; exec "$@" | cat', 'sh', ...words], { encoding: 'utf8' });
  assert.match(ran.stdout, /^ERR_REFUSED the token cannot be written into ".*" \(EFBIG\)\n$/, ran.stderr);
});
