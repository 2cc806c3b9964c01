import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, readCorpus } from '../masking/corpus.ts';
import { findLeak } from '../masking/oracle.ts';
import { openNode } from './node.ts';
import { TRANSFORMATION_GAPS } from './transformation-gaps.ts';

const MODULES = join(import.meta.dirname, '../../src/server/routes');
const VALUES = join(import.meta.dirname, '../vectors/masking/parts/values.json');

/** Runs Python with the transformation's modules; reads and answers JSON. */
function python<Answer>(code: string, input: unknown): Answer {
  const program = `import base64, io, json, sys\nsys.path.insert(0, sys.argv[1])\nsys.dont_write_bytecode = True\n${code}`;
  const answer = execFileSync('python3', ['-c', program, MODULES], {
    input: JSON.stringify(input),
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(answer.toString()) as Answer;
}

test('the transformation takes a value apart as the pilot does', () => {
  const values = JSON.parse(readFileSync(VALUES, 'utf8')) as {
    what: string;
    value: string | string[];
    hidden: string[];
    visible: string[];
  }[];
  const texts = values.map(({ value }) => (typeof value === 'string' ? value : value.join('\n')));
  const parts = python<string[][]>(
    `from transformation_parts import hidden_parts
print(json.dumps([[part for part in hidden_parts(text) if isinstance(part, str)] for text in json.load(sys.stdin)]))`,
    texts,
  );
  for (const [at, { what, hidden, visible }] of values.entries()) {
    const found = parts[at] ?? [];
    for (const secret of hidden) assert.ok(found.includes(secret), `${what}: is not hidden: ${secret}`);
    const inside = found.filter((part) => part !== texts[at] && part !== texts[at]?.trim() && !/[\r\n]/.test(part));
    for (const harmless of visible) {
      assert.deepEqual(
        inside.filter((part) => harmless.includes(part)),
        [],
        `${what}: takes from ${harmless}`,
      );
    }
  }
});

test('the transformation takes a value apart in a time that grows with its length', () => {
  const seconds = python<Record<string, [number, number]>>(
    `import time
from transformation_parts import hidden_parts
def seconds(text):
    begun = time.process_time()
    hidden_parts(text)
    return time.process_time() - begun
print(json.dumps({each: [seconds(each * (size // len(each))) for size in (10000, 80000)] for each in json.load(sys.stdin)}))`,
    ['-----BEGIN A-----', '-----BEGIN A-----\n', 'a=b;', 'Authorization: a ', '["', 'a: '],
  );
  // The square would be 64 times as long.
  for (const [what, [short, long]] of Object.entries(seconds))
    assert.ok(long < 30 * Math.max(short, 0.02), `${what}: ${short} s, ${long} s`);
});

test('the transformation masks what the programs of the corpus print, but for those that are named as gaps', () => {
  const cases = readCorpus().filter(({ producer }) => !TRANSFORMATION_GAPS.some((gap) => gap.test(producer)));
  const masked = python<string[]>(
    `from transformation_masker import Masker, copy_masked
maskers = {}
shown = []
for secret, printed in json.load(sys.stdin):
    masker = maskers.setdefault(secret, None) or Masker([secret])
    maskers[secret] = masker
    target = io.BytesIO()
    copy_masked(io.BufferedReader(io.BytesIO(base64.b64decode(printed))), target, masker)
    shown.append(base64.b64encode(target.getvalue()).decode())
print(json.dumps(shown))`,
    cases.map((each) => [each.secret, bytesOf(each, 'printed').toString('base64')]),
  ).map((shown) => Buffer.from(shown, 'base64'));
  const untouched = cases.filter((each, at) => {
    const shown = masked[at] ?? Buffer.alloc(0);
    return (
      findLeak(each.secret, shown) !== undefined || (bytesOf(each, 'left').includes('***') && !shown.includes('***'))
    );
  });
  assert.deepEqual(
    untouched.map(({ producer, secret }) => [producer, secret]),
    [],
  );
});

test('of secrets that overlap, JSON inside JSON, hex in either case and base64 in lines a job shows nothing', async (t) => {
  const node = await openNode(t);
  const key = 'a key that is rather long, so that its base64 takes more than one line of 76 columns: 0123456789';
  const { stdout } = await node.run({
    secrets: { A: 'abcdef123456', B: '123456zyxwvu', C: JSON.stringify({ password: 'inner-hunter2x' }), KEY: key },
    command: `echo abcdef123456zyxwvu; echo inner-hunter2x; printf %s "$A" | od -An -tx1 | tr -d ' \\n' | tr a-f A-F; echo; python3 -c '
import base64, os, sys
sys.stdout.write(base64.encodebytes(b"some text before it " + os.environb[b"KEY"] + b" and after").decode())
'; echo end`,
  });
  const [overlap, inner, hex, first = '', ...rest] = stdout.split('\n');
  assert.deepEqual([overlap, inner, hex], ['***', '***', '***']);
  assert.match(first, /^.{24,28}\*\*\*$/);
  assert.deepEqual(rest.slice(-2), ['end', '']);
  assert.ok(!stdout.includes(Buffer.from(key).toString('base64').slice(8, 40)));
});

test('a finished line is shown at once, and a line of base64 when the next has come', async (t) => {
  const node = await openNode(t);
  const digits = Buffer.alloc(57, 'no secret at all ').toString('base64');
  const { stdout } = await node.run({
    secrets: { A: 'abcdef123456' },
    command: `echo one; echo ${digits}; echo two; printf 'three'`,
  });
  assert.equal(stdout, `one\n${digits}\ntwo\nthree`);
});
