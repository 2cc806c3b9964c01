import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { jobSecretsOf } from '../../src/payload/job-secrets.ts';
import { runOwnCommand } from '../../src/payload/own-command.ts';
import type { Payload } from '../../src/payload/payload.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { SECRET_FORMS } from '../../src/protocol/secret-forms.ts';
import { temporaryFolder, until } from '../pilot/folders.ts';

test('a command that runs for days holds its lock, by which others that share its folder leave its secrets alone', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const secrets = [{ name: wireName('TOKEN'), value: new Plaintext('fp4w-Kd93-xyzzy') }];
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let printed = '';
  stdout.on('data', (bytes) => {
    printed += bytes;
  });
  let payload: Pick<Payload, 'signal'> | undefined;
  const ended = runOwnCommand({
    words: ['sh', '-c', 'echo "$PANDA_SECRETS_FILE"; exec sleep 1000'],
    directory: await temporaryFolder(t),
    environment: process.env,
    delivered: { ...jobSecretsOf(secrets), secrets },
    hidden: [],
    forms: SECRET_FORMS,
    links: false,
    input: 'ignore',
    stdout,
    stderr,
    warn: () => {},
    onStart: (started) => {
      payload = started;
    },
  });
  await until(
    () => printed,
    (text) => text.includes('\n'),
  );
  const lock = join(dirname(dirname(printed.trim())), 'pilot.json');
  await utimes(lock, 0, 0);
  t.mock.timers.tick(3600_000);
  await until(
    () => statSync(lock).mtimeMs,
    (renewed) => renewed !== 0,
  );
  payload?.signal('SIGKILL');
  await ended;
  await assert.rejects(stat(lock), { code: 'ENOENT' });
});
