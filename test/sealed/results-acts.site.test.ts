import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ListedJobFile } from '../../src/protocol/calls/job.ts';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import type { SealedRefusalCode } from '../../src/protocol/sealed-refusal.ts';
import { makeResult, readResult } from '../../src/sealed/result.ts';
import type { Middle } from '../server/middle.ts';
import { siteOf } from './device.ts';
import { newSigned, type Signed, VALUE } from './node.ts';

/** What a server makes of an answer's data. */
type Change = (data: never, path: URL) => unknown;

/** Has the middle change the answers of calls, and the bytes of files. */
function lie(middle: Middle, changes: Record<string, Change>, bytes?: (content: Buffer, path: URL) => Buffer): void {
  middle.onAnswer = (answer, { path }) => {
    const url = new URL(path, middle.url);
    const call = url.pathname.replace('/api/v1/', '');
    if (call === 'job/get_file' && bytes) answer.body = bytes(answer.body, url);
    const change = changes[call];
    if (!change) return;
    const envelope = JSON.parse(answer.body.toString());
    answer.body = Buffer.from(JSON.stringify({ ...envelope, data: change(envelope.data as never, url) }));
  };
}

const honest = (middle: Middle) => lie(middle, {});
const swapped = (files: ListedJobFile[], field: 'signature', of: (file: ListedJobFile) => boolean) => {
  const [one, other] = files.filter(of);
  assert.ok(one && other);
  return files.map((file) =>
    file === one ? { ...file, [field]: other[field] } : file === other ? { ...file, [field]: one[field] } : file,
  );
};

/** Fetches the outputs into a folder of their own. */
async function fetchAs(signed: Signed, task: number, name: string, ...args: string[]) {
  const dir = join(signed.folder, name.replace(/\W+/g, '-'));
  const { status, stdout, stderr } = await signed.pbook(['get_outputs', String(task), '--dir', dir, ...args]);
  const files = existsSync(dir) ? readdirSync(dir).sort() : [];
  return { status, stdout, stderr, files, textOf: (file: string) => readFileSync(join(dir, file), 'utf8') };
}

for (const sealed of [[], ['--sealResults']]) {
  const what = sealed.length > 0 ? 'sealed results' : 'results';
  test(`34 ${what} that are fabricated, unsigned, swapped or held back are refused, and the others fetched`, async (t) => {
    const signed = await newSigned(t);
    const { middle, submit, acquire, bring, site } = signed;
    const task = await submit('--nJobs', '2', ...sealed);
    for (const job of await acquire()) {
      await bring(job, { log: `log ${job['serial']}\n`, outputs: { 'out.txt': `output ${job['serial']}\n` } });
    }
    const good = await fetchAs(signed, task, 'good');
    assert.equal(good.status, 0, good.stderr);
    assert.deepEqual(good.files.map(good.textOf), ['output 1\n', 'output 2\n']);
    const logs = await signed.pbook(['logs', String(task)]);
    assert.deepEqual([logs.status, logs.stdout], [0, 'log 1\nlog 2\n'], logs.stderr);

    const [, second = ''] = good.files;
    const { node: mallory } = await siteOf(9);
    const resign = (word: string) => makeResult(mallory.resultSigner, readResult(word, [site.record.resultSigner], {}));
    const outputs = ({ kind }: ListedJobFile) => kind === 'output';
    const isFirst = (url: URL) => url.searchParams.get('name')?.includes('000001') === true;
    const acts: [string, SealedRefusalCode, Record<string, Change>, ((content: Buffer, path: URL) => Buffer)?][] = [
      ['fabricated', 'result-other', {}, (content, url) => (isFirst(url) ? Buffer.from('made up') : content)],
      [
        'signed by the server',
        'result-forged',
        {
          'job/get_files': (files: ListedJobFile[]) =>
            files.map((file) => (file.serial === 1 ? { ...file, signature: resign(file.signature ?? '') } : file)),
          'creds/get_site_record': () => undefined,
        },
      ],
      [
        'unsigned',
        'result-unsigned',
        {
          'job/get_files': (files: ListedJobFile[]) =>
            files.map(({ signature, ...file }) => (file.serial === 1 ? file : { ...file, signature })),
        },
      ],
      [
        'swapped signatures',
        'result-other',
        { 'job/get_files': (files: never[]) => swapped(files, 'signature', outputs) },
      ],
      [
        'swapped jobs',
        'result-other',
        {
          'job/get_files': (files: ListedJobFile[]) =>
            files.map((file) => ({ ...file, job_id: file.serial === 1 ? file.job_id + 1 : file.job_id - 1 })),
        },
        (content) => content,
      ],
      [
        'a log as an output',
        'result-other',
        {
          'job/get_files': (files: ListedJobFile[]) => {
            const log = files.find(({ kind, serial }) => kind === 'log' && serial === 1);
            return files.map((file) =>
              file.kind === 'output' && file.serial === 1 ? { ...file, signature: log?.signature } : file,
            );
          },
        },
      ],
      [
        'held back',
        'result-missing',
        { 'job/get_files': (files: ListedJobFile[]) => files.filter((file) => !(outputs(file) && file.serial === 1)) },
      ],
      ['a job held back', 'result-missing', { 'task/get_job_ids': (ids: number[]) => ids.slice(1) }],
    ];
    // Sealing changes nothing of what is signed: these show it.
    const tried = acts.filter(([name]) => sealed.length === 0 || /^(fabricated|swapped jobs|held back)$/.test(name));
    for (const [name, code, changes, bytes] of tried) {
      lie(middle, changes, bytes);
      const { status, stderr, files, textOf } = await fetchAs(signed, task, name);
      assert.equal(status, 1, name);
      assert.match(stderr, new RegExp(`\\(${code}\\)`), name);
      for (const file of files) assert.deepEqual([file, textOf(file)], [second, 'output 2\n'], name);
    }
    lie(middle, { 'job/get_files': (files: ListedJobFile[]) => files.toReversed() });
    assert.equal((await fetchAs(signed, task, 'in another order')).status, 0);
    let asked = 0;
    lie(middle, { 'task/get_job_ids': (ids: number[]) => (asked++ > 0 ? ids.toReversed() : ids) });
    assert.equal((await signed.pbook(['logs', '-f', String(task)])).stdout, '1 | log 1\n2 | log 2\n');
    lie(middle, { 'job/get_description': (jobs: object[]) => jobs.slice(0, 1) });
    assert.match((await fetchAs(signed, task, 'undescribed')).stderr, /\(result-missing\)/);
    lie(middle, {}, () => Buffer.from('x'));
    const json = await signed.pbook(['get_outputs', String(task), '--json', '--dir', join(signed.folder, 'json2')]);
    assert.deepEqual([json.status, JSON.parse(json.stdout).code], [1, 'result-other']);
  });
}

test('34 a result of another task, or by another site, is refused though everything else of it is right', async (t) => {
  const signed = await newSigned(t);
  const { middle, submit, acquire, bring, publish, done } = signed;
  const [first, second] = [await submit(), await submit()];
  const jobs = await acquire();
  for (const job of jobs) await bring(job, { log: 'log\n', outputs: { 'out.txt': `of ${job.taskID}\n` } });
  const listed = async (task: number): Promise<ListedJobFile[]> =>
    JSON.parse(
      (await signed.pbook(['get_outputs', String(task), '--json', '--dir', join(signed.folder, `l${task}`)])).stdout,
    ).data;
  const [other] = await listed(second);
  lie(middle, {
    'job/get_files': (files: ListedJobFile[]) =>
      files.map((file) => (file.kind === 'output' ? { ...file, signature: other?.signature } : file)),
  });
  assert.match((await fetchAs(signed, first, 'of another task')).stderr, /\(result-other\)/);

  // The queue now shows a site of the server's own, whose nodes sign well.
  const mallory = await siteOf(2, { serial: 9 });
  await publish(mallory.word);
  lie(middle, {
    'job/get_files': (files: ListedJobFile[]) =>
      files.map((file) => {
        const result = readResult(file.signature ?? '', [signed.site.record.resultSigner], {});
        return { ...file, signature: makeResult(mallory.node.resultSigner, result) };
      }),
  });
  assert.match((await fetchAs(signed, first, 'by another site')).stderr, /\(result-forged\)/);
  honest(middle);
  assert.equal((await fetchAs(signed, first, 'by the site of before')).status, 0, 'what was signed before stays good');
  await done('keys', 'untrust', 'default');
  assert.match((await fetchAs(signed, first, 'untrusted')).stderr, /not trusted on this device.*\(result-untrusted\)/);
});

test('34 a later attempt that was seen in a followed log is known after Ctrl-C', async (t) => {
  const signed = await newSigned(t);
  const { middle, submit, acquire, bring, pbook } = signed;
  const task = await submit('--maxAttempt', '2');
  const [first] = await acquire();
  assert.ok(first);
  await bring(first, { log: 'attempt 1\n', state: 'failed' });
  const older: { file?: ListedJobFile; content?: Buffer } = {};
  middle.onAnswer = (answer, { path }) => {
    if (path.startsWith('/api/v1/job/get_files')) older.file = JSON.parse(answer.body.toString()).data[0];
    if (path.startsWith('/api/v1/job/get_file?')) older.content = Buffer.from(answer.body);
  };
  assert.equal((await pbook(['logs', String(task)])).stdout, 'attempt 1\n');
  const { file, content = Buffer.alloc(0) } = older;
  honest(middle);
  const [second] = await acquire();
  assert.ok(second);
  await bring(second, { live: ['attempt 2\n'], state: 'running' });
  const followed = await pbook(['logs', '-f', String(task)], { interruptAt: /attempt 2/ });
  assert.equal(followed.status, 130, followed.stderr);
  lie(middle, { 'job/get_files': () => [file] }, () => content);
  const old = await pbook(['logs', String(task)]);
  assert.deepEqual([old.status, old.stdout], [1, '']);
  assert.match(old.stderr, /\(result-old\)/);
});

test('34 results under a key that the site renewed are taken, by the records of the site that is trusted', async (t) => {
  const signed = await newSigned(t);
  const { submit, acquire, bring, publish, site } = signed;
  const task = await submit();
  const renewed = await siteOf(1, { serial: 2 });
  const { node } = await siteOf(3);
  const { word, record } = await siteOf(1, { serial: 3, resultSigner: node.resultSigner.publicKey });
  assert.notEqual(record.resultSigner, renewed.record.resultSigner);
  const [job] = await acquire();
  await publish(word);
  site.node.resultSigner = node.resultSigner;
  await bring(job as PilotJob, { log: 'log\n', outputs: { 'out.txt': 'new key\n' } });
  const { status, stderr } = await fetchAs(signed, task, 'renewed');
  assert.equal(status, 0, stderr);
  await publish((await siteOf(1, { serial: 4 })).word);
  const again = await fetchAs(signed, task, 'again');
  assert.equal(again.status, 0, 'the record that was seen is kept');
  await signed.done('keys', 'untrust', 'default');
  const untrusted = await fetchAs(signed, task, 'untrusted');
  assert.match(untrusted.stderr, /\(result-untrusted\)/);
  await signed.done('keys', 'trust', `default=${site.id}`);
  const trusted = await fetchAs(signed, task, 'trusted');
  assert.equal(trusted.status, 0, trusted.stderr);
});

test('34 a result of an older attempt is not taken for one of a later one, nor after a later one was seen', async (t) => {
  const signed = await newSigned(t);
  const { middle, submit, acquire, bring, done, pbook } = signed;
  const task = await submit('--maxAttempt', '2', '--sealResults');
  const words = new Map<number, { file: ListedJobFile; content: Buffer }>();
  const keep = async (attempt: number) => {
    middle.onAnswer = (answer, { path }) => {
      if (path.startsWith('/api/v1/job/get_files')) {
        const [file] = JSON.parse(answer.body.toString()).data;
        words.set(attempt, { file, content: Buffer.alloc(0) });
      }
      const known = words.get(attempt);
      if (path.startsWith('/api/v1/job/get_file?') && known) known.content = Buffer.from(answer.body);
    };
    const { stdout } = await pbook(['logs', String(task)]);
    assert.equal(stdout, `attempt ${attempt}\n`);
  };
  const [first] = await acquire();
  assert.ok(first);
  await bring(first, { log: 'attempt 1\n', state: 'failed' });
  await keep(1);
  const [second] = await acquire();
  assert.ok(second);
  await bring(second, { log: 'attempt 2\n', state: 'failed' });
  const older = words.get(1);
  assert.ok(older);
  const showOlder = (change: Partial<ListedJobFile>) =>
    lie(middle, { 'job/get_files': () => [{ ...older.file, ...change }] }, () => older.content);
  showOlder({ attempt: 2 });
  assert.match((await pbook(['logs', String(task)])).stderr, /\(result-other\)/);
  showOlder({});
  assert.equal((await pbook(['logs', String(task)])).stdout, 'attempt 1\n', 'nothing later was seen here so far');
  await keep(2);
  showOlder({});
  const old = await pbook(['logs', String(task)]);
  assert.deepEqual([old.status, old.stdout], [1, '']);
  assert.match(old.stderr, /\(result-old\)/);
  lie(middle, {
    'job/get_description': (jobs: object[]) => jobs.map((job) => ({ ...job, attemptNr: 1 })),
  });
  const earlier = await pbook(['logs', '-f', String(task)]);
  assert.deepEqual([earlier.status, earlier.stdout], [1, 'attempt 1\n'], 'it tells of one attempt, and two were seen');
  assert.match(earlier.stderr, /\(result-old\)/);

  // A retry begins a new count under a new nonce; what finished before it stays good, and is older.
  honest(middle);
  await done('retry', String(task));
  assert.equal((await pbook(['logs', String(task)])).stdout, 'attempt 2\n');
  const [third] = await acquire();
  assert.ok(third);
  assert.deepEqual([third.attemptNr, third.grantAttempt], [3, 1]);
  await bring(third, { log: 'attempt 3\n', outputs: { 'out.txt': 'done\n' } });
  await keep(3);
  const fetched = await fetchAs(signed, task, 'after the retry');
  assert.equal(fetched.status, 0, fetched.stderr);
  assert.deepEqual(fetched.files.map(fetched.textOf), ['done\n']);
  const before = words.get(2);
  assert.ok(before);
  for (const [attempt, code] of [
    [2, 'old'],
    [4, 'other'],
  ] as const) {
    lie(middle, { 'job/get_files': () => [{ ...before.file, attempt }] }, () => before.content);
    assert.match((await pbook(['logs', String(task)])).stderr, new RegExp(`\\(result-${code}\\)`));
  }
  honest(middle);
  const all = await pbook(['logs', '-f', String(task)]);
  assert.deepEqual([all.status, all.stdout], [0, 'attempt 1\nattempt 2\nattempt 3\n'], all.stderr);
});

for (const sealed of [[], ['--sealResults']]) {
  const what = sealed.length > 0 ? 'a sealed live log' : 'a live log';
  test(`35 ${what} whose parts are dropped, reordered, repeated, changed or unsigned is refused`, async (t) => {
    const signed = await newSigned(t);
    const { middle, submit, acquire, bring, pbook } = signed;
    const task = await submit('--maxAttempt', '2', ...sealed);
    const [job] = await acquire();
    assert.ok(job);
    await bring(job, { live: ['one\n', 'two\n', 'three\n'], state: 'running' });
    const good = await pbook(['logs', String(task)]);
    assert.deepEqual([good.status, good.stdout], [0, 'one\ntwo\nthree\n'], good.stderr);

    type Data = { content: string; parts: { size: number; signature: string }[]; next: number };
    /** The answer with its parts in another order, or some of them. */
    const only =
      (...order: number[]): Change =>
      (data: Data) => {
        if (data.parts.length === 0) return data;
        const bytes = Buffer.from(data.content, 'base64');
        const starts = data.parts.map((_, place) =>
          data.parts.slice(0, place).reduce((sum, { size }) => sum + size, 0),
        );
        const pieces = data.parts.map(({ size }, place) => bytes.subarray(starts[place], (starts[place] ?? 0) + size));
        return {
          ...data,
          content: Buffer.concat(order.map((place) => pieces[place] ?? Buffer.alloc(0))).toString('base64'),
          parts: order.map((place) => data.parts[place]),
        };
      };
    const changedBytes: Change = (data: Data) => {
      const bytes = Buffer.from(data.content, 'base64');
      if (bytes.length > 0) bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
      return { ...data, content: bytes.toString('base64') };
    };
    const acts: [string, SealedRefusalCode, Change][] = [
      ['the first dropped', 'result-order', only(1, 2)],
      ['one dropped', 'result-order', only(0, 2)],
      ['two reordered', 'result-order', only(0, 2, 1)],
      ['one repeated', 'result-order', only(0, 1, 1, 2)],
      ['one changed', 'result-other', changedBytes],
      ['unsigned', 'result-unsigned', ({ parts: _parts, ...data }: Data) => data],
      [
        'an unsigned one added',
        'result-unsigned',
        (data: Data) => ({ ...data, content: `${Buffer.from('made up\n').toString('base64')}`, parts: [] }),
      ],
      [
        'signed by the server',
        'result-forged',
        (data: Data) => ({
          ...data,
          parts: data.parts.map(({ size, signature }) => ({
            size,
            signature: signature.replace(/.{20}$/, 'A'.repeat(20)),
          })),
        }),
      ],
      ["another attempt's", 'result-other', (data: Data) => ({ ...data, attempt: 2 })],
      [
        'that stands still',
        'result-format',
        (data: Data, { searchParams }: URL) => ({ ...data, next: Number(searchParams.get('offset') ?? 0) }),
      ],
    ];
    const tried = acts.filter(
      ([name]) => sealed.length === 0 || /^(one dropped|two reordered|one changed)$/.test(name),
    );
    for (const [name, code, change] of tried) {
      lie(middle, { 'job/get_log': change });
      for (const args of name === 'two reordered' ? [['logs'], ['logs', '-f']] : [['logs']]) {
        const { status, stdout, stderr } = await pbook([...args, String(task)]);
        assert.equal(status, 1, `${name} ${args}`);
        assert.match(stderr, new RegExp(`\\(${code}\\)`), `${name} ${args}`);
        assert.ok('one\ntwo\nthree\n'.startsWith(stdout), `${name} ${args}`);
      }
    }

    honest(middle);
    await bring(job, { log: 'one\ntwo\nthree\nfour\n', state: 'failed' });
    const [next] = await acquire();
    assert.ok(next);
    await bring(next, { live: ['uno\n', 'due\n'], ends: true, state: 'failed' });
    const end = await pbook(['logs', '-f', String(task)]);
    assert.deepEqual([end.status, end.stdout], [0, 'one\ntwo\nthree\nfour\nuno\ndue\n'], end.stderr);
    lie(middle, {
      'job/get_log': (data: Data, url: URL) =>
        url.searchParams.get('attempt') === '2' ? only(0)(data as never, url) : data,
    });
    const cut = await pbook(['logs', '-f', String(task)]);
    assert.match(cut.stderr, /log\.tgz did not come/, 'a log that stops before its signed end');
  });
}

test("36 a secret's envelope that is served as a log or an output is refused, and stays closed", async (t) => {
  for (const sealed of [[], ['--sealResults']]) {
    const signed = await newSigned(t);
    const { middle, submit, acquire, bring, kept } = signed;
    const task = await submit('--maxAttempt', '1', ...sealed);
    const [job] = await acquire();
    assert.ok(job);
    await bring(job, { live: ['one\n'], state: 'running' });
    const envelope = Buffer.from(await kept('TOKEN'));
    const binary = Buffer.from(envelope.toString().replaceAll(/-----.*-----|\n/g, ''), 'base64');
    const served = sealed.length > 0 ? binary : envelope;
    const check = async (...args: string[]) => {
      const { status, stdout, stderr } = await signed.pbook(args);
      assert.deepEqual([status, stdout], [1, ''], args.join(' '));
      assert.match(stderr, /\(result-other\)/);
      assert.ok(!`${stdout}${stderr}`.includes(VALUE));
    };
    type Data = { content: string; parts: { size: number; signature: string }[] };
    lie(middle, {
      'job/get_log': (data: Data) => ({
        ...data,
        content: served.toString('base64'),
        parts: [{ ...data.parts[0], size: served.length }],
      }),
    });
    await check('logs', String(task));
    await bring(job, { log: 'one\n', outputs: { 'out.txt': 'x' } });
    lie(middle, {}, () => served);
    await check('logs', String(task));
    const { status, stderr, files } = await fetchAs(signed, task, 'an envelope');
    assert.deepEqual([status, files], [1, []]);
    assert.match(stderr, sealed.length > 0 ? /\(result-(other|unreadable)\)/ : /\(result-other\)/);
  }
});

test('33 results are sealed to their owner alone: no recipient is taken from the server', async (t) => {
  const signed = await newSigned(t);
  const { middle, submit, acquire, bring, pbook, keys } = signed;
  const task = await submit('--sealResults');
  const mine = await siteOf(5);
  const [job] = await acquire();
  assert.ok(job);
  const { results } = JSON.parse(Buffer.from(job.grant?.split('.')[0] ?? '', 'base64url').toString());
  assert.equal(results, keys.results.recipient);
  await bring(job, { log: 'log\n', outputs: { 'out.txt': 'text\n' }, state: 'failed' });

  // Asked to sign again, over a recipient of the server's own.
  lie(middle, {
    'task/get_details': (data: { grant: string }) => {
      const [payload = '', signature] = data.grant.split('.');
      const changed = Buffer.from(payload, 'base64url').toString().replace(results, mine.record.recipient);
      return { ...data, grant: `${Buffer.from(changed).toString('base64url')}.${signature}` };
    },
  });
  const retried = await pbook(['retry', String(task)]);
  assert.equal(retried.status, 1);
  assert.match(retried.stderr, /not signed by the key/);

  // The results themselves: nothing that is not sealed takes the place of what was.
  honest(middle);
  lie(middle, {}, () => Buffer.from('text\n'));
  const { status, stderr, files } = await fetchAs(signed, task, 'not sealed');
  assert.deepEqual([status, files], [1, []]);
  assert.match(stderr, /\(result-(other|unreadable)\)/);
});
