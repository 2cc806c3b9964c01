import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { claimJoinToken } from '../../src/pilot/join-token.ts';
import { putToken } from '../../src/pilot/launcher/hand-over.ts';
import { formatJoinToken, newJoinToken } from '../../src/protocol/join.ts';
import { temporaryFolder } from './folders.ts';

const never = new AbortController().signal;
const isRoot = process.geteuid?.() === 0;

async function place(t: TestContext) {
  const folder = await temporaryFolder(t);
  const token = newJoinToken();
  return {
    folder,
    file: join(folder, 'panda-pilot-token-0123456789abcdef'),
    token,
    text: `${formatJoinToken(token)}\n`,
  };
}

function claim(file: string, forSeconds = 100, stopping = never) {
  return claimJoinToken(file, { forSeconds, stopping });
}

test('a pilot waits for its token, takes it when the line is whole, and leaves nothing', async (t) => {
  const { file, text, token } = await place(t);
  const claimed = claim(file);
  writeFileSync(file, text.slice(0, 20), { mode: 0o600 });
  setTimeout(() => writeFileSync(file, text), 700);
  assert.equal((await claimed)?.id, token.id);
  assert.ok(!existsSync(file));
});

test('of several pilots that wait for one token, one has it', async (t) => {
  const { file, text, token } = await place(t);
  const enough = new AbortController();
  const claims = Array.from({ length: 4 }, () => claim(file, 1000, enough.signal));
  assert.equal(await putToken(file, text.trim()), true);
  assert.equal((await Promise.race(claims))?.id, token.id);
  enough.abort();
  const answers = await Promise.all(claims);
  assert.equal(answers.filter((answer) => answer === undefined).length, 3);
});

test('a file that others can read, or a link, is no token', async (t) => {
  const { folder, file, text } = await place(t);
  writeFileSync(file, text, { mode: 0o644 });
  await assert.rejects(claim(file, 0.1), {
    code: 'ERR_MISCONFIGURED',
    message: /others can read it \(uid \d+, mode 644\)/,
  });
  chmodSync(file, 0o600);
  const link = join(folder, 'link');
  symlinkSync(file, link);
  await assert.rejects(claim(link, 0.1), { message: /cannot be read \(ELOOP\)/ });
  assert.ok(existsSync(file));
});

test("another user's file is no token", { skip: !isRoot && 'only root can give files away' }, async (t) => {
  const { file, text } = await place(t);
  writeFileSync(file, text, { mode: 0o600 });
  chownSync(file, 65534, 65534);
  await assert.rejects(claim(file, 0.1), { message: /is another user's/ });
});

test('a message about what is no token does not quote it', async (t) => {
  const { file } = await place(t);
  writeFileSync(file, 'PASSWORD\n', { mode: 0o600 });
  await assert.rejects(
    claim(file),
    (error: Error) => !error.message.includes('PASSWORD') && /join token/.test(error.message),
  );
});

test('tokens that nobody came for go, those of this hour stay', async (t) => {
  const { folder, file, text } = await place(t);
  const [old, recent] = ['a', 'b'].map((digit) => join(folder, `panda-pilot-token-${digit.repeat(16)}`));
  for (const path of [old, recent, file]) writeFileSync(path ?? '', text, { mode: 0o600 });
  utimesSync(old ?? '', 1, 1);
  await claim(file);
  assert.deepEqual(
    [old, recent].map((path) => existsSync(path ?? '')),
    [false, true],
  );
});

test('a pilot that is told to stop waits no longer', async (t) => {
  const { file } = await place(t);
  const stopping = new AbortController();
  const claimed = claim(file, 1000, stopping.signal);
  stopping.abort();
  assert.equal(await claimed, undefined);
});

test('a token goes into a private folder alone, and replaces none', async (t) => {
  const { folder, file, text } = await place(t);
  chmodSync(folder, 0o750);
  await assert.rejects(putToken(file, text), { code: 'ERR_REFUSED', message: /chmod 700/ });
  chmodSync(folder, 0o700);
  assert.equal(await putToken(file, text), true);
  assert.equal(await putToken(file, text), false);
});
