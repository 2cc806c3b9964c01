import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { run } from './run.ts';

/** Prints what was loaded, Node's own modules and ours, when the process ends. */
const WATCH = `import { registerHooks } from 'node:module';
const files = [];
registerHooks({ load(url, context, next) { files.push(url); return next(url, context); } });
process.on('exit', () => process.stderr.write(JSON.stringify({ own: process.moduleLoadList, files })));`;

test('pbook list_secrets loads nothing that it does not need', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') });
  const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(WATCH)}` };
  const { status, stderr } = await run('pbook', ['list_secrets'], stub.url, { env });
  assert.equal(status, 0);
  const { own, files } = JSON.parse(stderr) as { own: string[]; files: string[] };
  for (const name of ['crypto', 'https', 'tls', 'zlib', 'readline']) {
    assert.ok(!own.includes(`NativeModule ${name}`), `node:${name} is loaded`);
  }
  const packages = files.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  assert.deepEqual([...new Set(packages)], ['commander']);
});
