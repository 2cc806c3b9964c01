import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { formatJoinToken } from '../../src/protocol/join.ts';
import { readSiteRecord } from '../../src/sealed/site-record.ts';
import { pilot } from '../pilot/hostile-server.ts';
import { bubblewrap } from '../pilot/isolated.ts';
import { type Device, newDevice } from '../sealed/device.ts';

const SEALED = 'w7Kq-sealed-needle-Zt93xP';
const PLAIN = 'p4Rm-plain-needle-Yb61vD';
/** Prints and brings back what stands nowhere in the sandbox; between two lines it asks how to end. */
const RUN = `
line() { echo "$1 $2" | sha256sum; }
line "$1" log
answer=$(python3 -c "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())" "$2")
line "$1" out > out.txt
line "$1" end
test "$answer" = well
`;
const printed = (job: string, what: string) => createHash('sha256').update(`${job} ${what}\n`).digest('hex');

test('the log of a job and its outputs are sealed to its user, who follows, fetches and retries as ever', {
  ...bubblewrap,
}, async (t) => {
  const device = await newDevice(t);
  const { server, middle, folder, done, pbook, prun } = device;
  const runPilot = await newSite(device);
  const gate = await newGate(t);
  await done('set_secret', 'TOKEN', SEALED);
  await done('set_secret', 'OLD', PLAIN, '--plain');
  const work = join(folder, 'work');
  mkdirSync(work);
  writeFileSync(join(work, 'run.sh'), RUN);
  const submit = async (name: string, ...args: string[]) => {
    const task = ['--exec', `sh run.sh ${name} ${gate.url}`, '--outDS', `user.alice.${name}`, '--site', 'default'];
    const { status, stdout, stderr } = await prun([...task, '--outputs', 'out.txt', '--maxAttempt', '1', ...args], {
      cwd: work,
    });
    assert.equal(status, 0, stderr);
    return String(/jediTaskID=(\d+)/.exec(stdout)?.[1]);
  };
  const plain = await submit('plain', '--useSecrets=OLD');
  gate.answer('well');
  const first = await runPilot(1);
  assert.equal(first.status, 0, first.said);

  // The job runs until its first line was seen; then it fails.
  gate.close();
  const sealed = await submit('sealed', '--useSecrets=TOKEN', '--sealResults');
  const running = runPilot(1);
  const following = pbook(['logs', '-f', sealed]);
  let seen = '';
  for (let looks = 0; looks < 100 && !seen.includes(printed('sealed', 'log')); looks++) {
    seen = (await pbook(['logs', sealed])).stdout;
  }
  assert.ok(seen.includes(printed('sealed', 'log')), seen);
  gate.answer('badly');
  const second = await running;
  assert.equal(second.status, 0, second.said);
  const followed = await following;
  assert.equal(followed.status, 0, followed.stderr);
  assert.match(
    followed.stdout,
    new RegExp(
      `${printed('sealed', 'log')} [^]*${printed('sealed', 'end')} [^]*failed: the payload ended with exit status 1`,
    ),
  );
  assert.match((await pbook(['get_outputs', sealed])).stderr, /has no output so far; it is failed/);

  gate.answer('well');
  const again = await done('retry', sealed);
  assert.match(again, /signing again/);
  const third = await runPilot(1);
  assert.equal(third.status, 0, third.said);
  const both = await done('logs', '-f', sealed);
  assert.match(both, /attempt 1 at job .*failed: .*attempt 2 at job .*the payload finished/s);
  for (const [task, name] of [
    [plain, 'plain'],
    [sealed, 'sealed'],
  ] as const) {
    const dir = join(folder, `fetched-${name}`);
    await done('get_outputs', task, '--dir', dir);
    const [file = ''] = readdirSync(dir);
    assert.equal(readFileSync(join(dir, file), 'utf8'), `${printed(name, 'out')}  -\n`);
    assert.ok((await done('logs', task)).includes(printed(name, 'end')));
  }

  const passed = middle.exchanges.map(({ body, answer }) => Buffer.concat([body, answer.body]));
  const kept = [...passed, Buffer.from(server.logs()), ...filesBelow(server.folder)].flatMap(readable).join('\n');
  for (const what of ['log', 'out', 'end']) {
    assert.ok(kept.includes(printed('plain', what)), `the search finds what is there: ${what}`);
    for (const form of formsOf(printed('sealed', what))) assert.ok(!kept.includes(form), what);
  }
  assert.ok(!kept.includes(SEALED));
});

/** A site that the user trusts. @returns runs its pilot for so many jobs */
async function newSite({ folder, middle, server, publish, done }: Device) {
  const identity = join(folder, 'identity.json');
  const key = join(folder, 'site', 'site.key');
  for (const args of [
    ['site-identity', 'new', '--out', identity],
    ['site-key', 'new', '--queue', 'default', '--out', key, '--identity', identity],
  ]) {
    const { status, said } = await pilot(args);
    assert.equal(status, 0, said);
  }
  const word = readFileSync(`${key}.pub`, 'utf8').trim();
  await publish(word);
  await done('keys', 'trust', `default=${readSiteRecord(word).identity}`);
  return async (jobs: number) =>
    await pilot(
      [
        ...[
          '--queue',
          'default',
          '--token-file',
          '-',
          '--server',
          middle.url,
          '--jobs',
          String(jobs),
          '--idle-exit',
          '60',
        ],
        ...['--workdir', join(folder, 'pilots'), '--site-key', key, '--isolate', 'on', '--allow-root'],
      ],
      { input: formatJoinToken(await server.joinToken()), env: { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') } },
    );
}

/** Answers when it is told how. */
async function newGate(t: TestContext) {
  let open: (word: string) => void = () => {};
  let answer = new Promise<string>((resolve) => {
    open = resolve;
  });
  const gate = createServer((_request, response) => answer.then((word) => response.end(word))).listen(0, '127.0.0.1');
  t.after(() => gate.close());
  await once(gate, 'listening');
  return {
    url: `http://127.0.0.1:${(gate.address() as AddressInfo).port}/`,
    answer(word: string) {
      open(word);
      answer = Promise.resolve(word);
    },
    close() {
      answer = new Promise((resolve) => {
        open = resolve;
      });
    },
  };
}

function filesBelow(folder: string): Buffer[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file));
}

/** The bytes, and what is packed in them. */
function readable(bytes: Buffer): string[] {
  const start = bytes.indexOf(Buffer.from([0x1f, 0x8b, 8]));
  try {
    return [bytes.toString('latin1'), ...(start < 0 ? [] : [gunzipSync(bytes.subarray(start)).toString('latin1')])];
  } catch {
    return [bytes.toString('latin1')];
  }
}

function formsOf(text: string): string[] {
  const middle = (bytes: Buffer) => bytes.toString('base64').slice(4, -4);
  return [text, ...[0, 1, 2].map((shift) => middle(Buffer.from(text.slice(shift)))), Buffer.from(text).toString('hex')];
}
