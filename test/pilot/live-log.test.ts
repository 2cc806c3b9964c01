import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { followLog } from '../../src/pilot/live-log.ts';
import { Refused, Unavailable } from '../../src/protocol/errors.ts';

type Send = Parameters<typeof followLog>[1];

/** A log, and a server that keeps what it is sent; `answer` may fail or say something else. */
async function setUp(t: TestContext, answer: (kept: Buffer, part: { offset: number; bytes: Buffer }) => unknown) {
  const folder = await mkdtemp(join(tmpdir(), 'live-log-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'log');
  await writeFile(path, '');
  let kept = Buffer.alloc(0);
  const sent: { offset: number; length: number }[] = [];
  let arrived = () => {};
  const send: Send = async (offset, bytes) => {
    const part = { offset, bytes: Buffer.from(bytes) };
    sent.push({ offset, length: bytes.length });
    try {
      const said = await answer(kept, part);
      if (said) return said as Awaited<ReturnType<Send>>;
      kept = Buffer.concat([kept.subarray(0, offset), part.bytes]);
      return { size: kept.length, full: false };
    } finally {
      arrived();
    }
  };
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      arrived = () => condition() && resolve();
      arrived();
    });
  const live = followLog(path, send, { everySeconds: 0.01 });
  t.after(() => live.stop());
  return { path, sent, until, kept: () => kept.toString(), live };
}

test('what a log grows by is sent in order', async (t) => {
  const { path, until, kept, sent } = await setUp(t, () => undefined);
  for (const line of ['one\n', 'two\n', 'three\n']) {
    await appendFile(path, line);
    await until(() => kept().endsWith(line));
  }
  assert.equal(kept(), 'one\ntwo\nthree\n');
  assert.deepEqual(
    sent.map(({ offset }) => offset),
    [0, 4, 8],
  );
});

test('a part that did not arrive is sent again, and a server that lost some of it gets it again', async (t) => {
  let trouble = 0;
  const { path, until, kept, sent } = await setUp(t, (_kept, { offset }) => {
    trouble += 1;
    if (trouble === 1) throw new Unavailable('not now');
    if (trouble === 2) return { size: 0, full: false };
    return offset > 0 ? { size: 0, full: false } : undefined;
  });
  await appendFile(path, 'all of it\n');
  await until(() => kept() === 'all of it\n');
  assert.deepEqual(sent.slice(0, 3), [
    { offset: 0, length: 10 },
    { offset: 0, length: 10 },
    { offset: 0, length: 10 },
  ]);
});

for (const [reason, answer] of [
  ['has enough', () => ({ size: 4, full: true })],
  [
    "says that the attempt is not this pilot's",
    () => {
      throw new Refused('it has ended', null);
    },
  ],
] as const) {
  test(`nothing more is sent when the server ${reason}`, async (t) => {
    const { path, sent, live } = await setUp(t, answer);
    await appendFile(path, 'one\n');
    await live.ended;
    assert.equal(sent.length, 1);
  });
}

test('a much printing payload is sent in parts of bounded size', async (t) => {
  const { path, until, kept, sent } = await setUp(t, () => undefined);
  const text = 'x'.repeat(700_000);
  await appendFile(path, text);
  await until(() => kept().length === text.length);
  assert.equal(Math.max(...sent.map(({ length }) => length)), 256 * 1024);
});

/** A log whose parts are signed, `SEQ` and the end marked; the server keeps 10 bytes more for each signature. */
async function setUpSigned(
  t: TestContext,
  answer: (call: number) => 'lost' | 'unanswered' | 'gone' | undefined,
  everySeconds = 0.01,
) {
  const folder = await mkdtemp(join(tmpdir(), 'live-log-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'log');
  await writeFile(path, '');
  let kept: { at: number; text: string; signature: string }[] = [];
  const versions = new Map<string, Set<string>>();
  let calls = 0;
  const sizeOf = (parts: typeof kept) => parts.reduce((sum, { text }) => sum + text.length + 10, 0);
  let arrived = () => {};
  const live = followLog(
    path,
    async (offset, bytes, signature = '') => {
      const text = Buffer.from(bytes).toString();
      versions.set(signature, (versions.get(signature) ?? new Set()).add(text));
      const wrong = answer(++calls);
      try {
        if (wrong === 'gone') kept = [];
        if (offset === sizeOf(kept) && wrong !== 'lost') kept.push({ at: offset, text, signature });
        if (wrong === 'lost' || wrong === 'unanswered') throw new Unavailable('not now');
        return { size: sizeOf(kept), full: false };
      } finally {
        arrived();
      }
    },
    {
      everySeconds,
      sign: async (seq, bytes, last) => ({ bytes, signature: `${seq}${last ? ' end' : ''}` }),
    },
  );
  t.after(() => live.stop());
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      arrived = () => condition() && resolve();
      arrived();
    });
  const text = () => kept.map((part) => part.text).join('');
  return { path, live, until, text, versions, signatures: () => kept.map(({ signature }) => signature) };
}

test('parts that are signed are numbered, and the last one ends the log', async (t) => {
  const { path, live, until, text, signatures } = await setUpSigned(t, () => undefined);
  for (const line of ['one\n', 'two\n']) {
    await appendFile(path, line);
    await until(() => text().endsWith(line));
  }
  await appendFile(path, 'three\n');
  live.stop();
  await live.ended;
  assert.equal(text(), 'one\ntwo\nthree\n');
  assert.equal(signatures().at(-1), `${signatures().length - 1} end`);
  assert.deepEqual(signatures().slice(0, 2), ['0', '1']);
});

test('a part of a number has the same bytes whenever it is sent, whatever the server lost or did not answer', async (t) => {
  const { path, live, until, text, signatures, versions } = await setUpSigned(
    t,
    (call) => (['lost', 'unanswered', undefined, undefined, 'gone'] as const)[call - 1],
  );
  for (const line of ['one\n', 'two\n', 'three\n', 'four\n']) {
    await appendFile(path, line);
    await until(() => text().endsWith(line));
  }
  await appendFile(path, 'five\n');
  live.stop();
  await live.ended;
  assert.equal(text(), 'one\ntwo\nthree\nfour\nfive\n');
  assert.deepEqual(
    signatures(),
    signatures().map((_, seq) => (seq === signatures().length - 1 ? `${seq} end` : String(seq))),
  );
  for (const [signature, texts] of versions) assert.equal(texts.size, 1, signature);
});

test('the end of a log that is longer than a part is left to the whole log', async (t) => {
  const { path, live, signatures } = await setUpSigned(t, () => undefined, 3600);
  await appendFile(path, 'x'.repeat(300_000));
  live.stop();
  await live.ended;
  assert.deepEqual(signatures(), []);
});
