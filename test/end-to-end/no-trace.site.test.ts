import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { filesBelow, startSite, tracesOf, type User } from './site.ts';

/** A job that is careless with everything it is given, and leaves a process behind. */
const CARELESS_JOB = `
import base64, json, os, subprocess, sys
text = open('panda_secrets.json').read()
print(text)
print(os.environ, file=sys.stderr)
secrets = json.loads(text)
for value in secrets.values():
    print(value, repr(value), base64.b64encode(('x' + value).encode()).decode(), value.encode().hex())
open('copy.txt', 'w').write(text)
os.makedirs('deep/er')
open('deep/er/copy.txt', 'w').write(text)
subprocess.Popen(['sleep', '30'], start_new_session=True)
`;

async function secretsOf(user: User): Promise<{ names: string[]; values: string[] }> {
  const names = ['PLAIN', 'DOCUMENT', 'CERTIFICATE'].map((name) => `${name}_${randomBytes(6).toString('hex')}`);
  const random = () => randomBytes(18).toString('base64url');
  const values = [random(), JSON.stringify({ token: random() }), `first ${random()}\nsecond ${random()}`];
  for (const [n, name] of names.entries()) {
    assert.equal((await user.pbookWithInput(values[n] ?? '', 'set_secret', name, '-')).status, 0);
  }
  return { names, values: values.flatMap((value) => [value, ...value.split('\n')]) };
}

test('no name and no value is in any byte that the server wrote or the node kept', async (t) => {
  const site = await startSite(t);
  const user = await site.user('adoe');
  const { names, values } = await secretsOf(user);
  writeFileSync(join(user.directory, 'careless.py'), CARELESS_JOB);
  const submitted = await user.prun(
    ...['--exec', 'python3 careless.py', '--outDS', 'user.adoe.careless', '--useSecrets', '--noBuild', '--nJobs', '2'],
  );
  assert.equal(submitted.status, 0, submitted.stderr);
  await user.pbook('list_secrets');
  await user.pbook('set_secret', names[0] ?? '', 'another value entirely');
  const pilot = await site.pilot({ jobs: 2 });
  assert.equal(pilot.status, 0, pilot.stderr);
  await user.pbook('delete_secret', names[1] ?? '');
  await user.pbook('set_secret', 'bad=name', values[0] ?? '');

  const kept = [
    ...filesBelow(site.data),
    { path: 'what the server printed', bytes: Buffer.from(site.serverOutput()) },
    ...filesBelow(pilot.folder),
    { path: 'what the pilot printed', bytes: Buffer.from(pilot.stdout + pilot.stderr) },
  ];
  assert.ok(kept.some(({ path }) => path.endsWith('panda.db')) && kept.some(({ path }) => path.endsWith('-wal')));
  for (const { path, bytes } of kept) {
    for (const value of [...values, 'another value entirely']) {
      for (const trace of tracesOf(value)) assert.ok(!bytes.includes(trace), `${path} holds a value`);
    }
    // The masked log is the job's own words, and this job printed the names.
    if (path.includes('/blobs/')) continue;
    for (const name of names) assert.ok(!bytes.includes(name), `${path} holds a name`);
  }
});
