import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { wireName } from '../../src/protocol/names.ts';
import { sandboxChecksum } from '../../src/protocol/sandbox-checksum.ts';
import type { SealedRefusalCode } from '../../src/protocol/sealed-refusal.ts';
import { RELEASED_SECONDS } from '../../src/protocol/version.ts';
import { makeGrant } from '../../src/sealed/grant.ts';
import { readResult } from '../../src/sealed/result.ts';
import { signed } from '../../src/sealed/signed.ts';
import { readSiteIdentity, renewSiteKey, signSiteRecord, writeRecord } from '../../src/sealed/site-key-file.ts';
import { siteNumber, userNumber } from '../sealed/samples.ts';
import {
  type Act,
  CERTIFICATE,
  type Given,
  type HostileServer,
  openHostileServer,
  RUN_SCRIPT,
  type Submission,
  TOKEN_VALUE,
} from './hostile-server.ts';
import { bubblewrap } from './isolated.ts';
import { withSameChecksum } from './same-checksum.ts';

const DAY_SECONDS = 24 * 3600;
/** Would stand in a log as lines of its pilot's. */
const INJECTED = '0\npanda-pilot: the payload finished\nRESULT: injected\u2028injected';
const REMARKS = {
  secretsLeftOut: INJECTED,
  secretsSealedLeftOut: INJECTED,
  secretsExpired: INJECTED,
  secretsExpiring: [{ place: 0, expires: '2031-02-03T04:05:06Z' }],
};
const TOKEN = wireName('TOKEN');
const FILE = wireName('cert.pem', 'file');

const digest = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
const base64 = (content: string) => Buffer.from(content).toString('base64');

/** Puts another value in the place of one. */
function replacing(name: string, value: () => string | Promise<string>): Act {
  return async (given) => {
    const other = await value();
    given.delivered = given.delivered.map(([each, old]) => [each, each === name ? other : old]);
  };
}

function checksumOf(archive: Buffer): number | undefined {
  const checksum = sandboxChecksum();
  checksum.update(archive);
  return checksum.value();
}

const changing =
  (fields: Record<string, unknown>): Act =>
  ({ job }) =>
    void Object.assign(job, fields);
const inParameters =
  (from: string | RegExp, to: string): Act =>
  ({ job }) => {
    const changed = job.jobPars.replace(from, to);
    assert.notEqual(changed, job.jobPars);
    job.jobPars = changed;
  };
const adding =
  (name: string, value: string): Act =>
  ({ delivered }) =>
    void delivered.push([name, value]);
const withGrant =
  (change: (word: string) => string): Act =>
  ({ job }) => {
    job.grant = change(job.grant ?? '');
  };

interface Attack extends Submission {
  /** With its number in the list of what a hostile server tries, where it has one. */
  what: string;
  code: SealedRefusalCode;
}

/** What is tried, each in a job of its own. */
async function attacks({ keys, record, seal }: HostileServer): Promise<Attack[]> {
  const mallory = await userNumber(2);
  const other = await siteNumber(7, 'default');
  const otherSite = { ...other.read, queue: 'default' };
  const forged = { ...mallory, signer: { ...mallory.signer, publicKey: keys.signer.publicKey } };
  const payloadOf = (word: string) => Buffer.from(word.split('.')[0] ?? '', 'base64url');
  const resigned = (change: (json: string) => string): Act =>
    withGrant((word) => signed(keys.signer, 'grant', Buffer.from(change(payloadOf(word).toString()))));
  return [
    {
      what: '1 a plain file beside sealed secrets',
      code: 'plain-in-sealed-job',
      act: adding('___file___:json.py', base64('import os')),
    },
    { what: '2 a plain variable', code: 'plain-in-sealed-job', act: adding('GIT_SSH_COMMAND', 'sh -c id') },
    { what: '3 a task id that is text', code: 'job-changed', act: changing({ taskID: '1"; id; "' }) },
    { what: '4 a serial that is text', code: 'grant-place', act: changing({ serial: '1' }) },
    { what: '4 serial 0', code: 'grant-place', act: changing({ serial: 0 }) },
    { what: '4, 12 the serial of a job more than were granted', code: 'grant-place', act: changing({ serial: 2 }) },
    { what: '4 serial 1.5', code: 'grant-place', act: changing({ serial: 1.5 }) },
    { what: '5 an attempt more than were granted', code: 'grant-place', act: changing({ grantAttempt: 2 }) },
    { what: '6 another command', code: 'job-changed', act: inParameters('run.sh', 'cat.sh') },
    { what: '7 another output', code: 'job-changed', act: inParameters("'out.txt'", "'cert.pem'") },
    { what: '7 another directory', code: 'job-changed', act: inParameters('-r .', '-r /srv') },
    { what: '8 other forms', code: 'job-changed', act: inParameters('-p "', '--secretsAs env -p "') },
    { what: '10 another sandbox', code: 'sandbox-changed', sandbox: () => randomBytes(500) },
    { what: '10 a sandbox that ends early', code: 'sandbox-changed', sandbox: (bytes) => bytes.subarray(0, -20) },
    {
      what: '10 a sandbox that runs something else and has the same size and CRC-32',
      code: 'sandbox-changed',
      sandbox: (bytes) => {
        const [nonce = ''] = /[\da-f]{8}-[\da-f-]{27}/.exec(gunzipSync(bytes).toString('latin1')) ?? [];
        const other = withSameChecksum(bytes, RUN_SCRIPT, 'cp panda_secrets.json out.txt\n', nonce);
        assert.deepEqual([other.length, checksumOf(other)], [bytes.length, checksumOf(bytes)]);
        assert.match(gunzipSync(other).toString('latin1'), /cp panda_secrets/);
        return other;
      },
    },
    {
      what: '10 another sandbox, and a value that cannot be opened: none is, before the sandbox is proven',
      code: 'sandbox-changed',
      sandbox: () => randomBytes(500),
      act: replacing(TOKEN, () => seal(TOKEN, 'x', { sites: [otherSite] })),
    },
    {
      what: '11 no digest',
      code: 'grant-template',
      grant: (content) => ({ ...content, template: { ...content.template, sandboxSha256: null } }),
    },
    {
      what: "13 two values in each other's place",
      code: 'secret-swapped',
      act: ({ delivered }) => {
        const [first, second] = delivered;
        assert.ok(first && second);
        [first[1], second[1]] = [second[1], first[1]];
      },
    },
    { what: '14 one that does not come', code: 'secret-missing', act: ({ delivered }) => void delivered.pop() },
    { what: '14 none that come', code: 'secret-missing', act: ({ delivered }) => void delivered.splice(0) },
    {
      what: '14 one that comes twice',
      code: 'secret-extra',
      act: ({ delivered }) => void delivered.push(...delivered.slice(0, 1)),
    },
    {
      what: 'one more',
      code: 'secret-extra',
      act: async ({ delivered }) => void delivered.push(['MORE', await seal(wireName('MORE'), 'x')]),
    },
    {
      what: '15 an older version',
      code: 'secret-old',
      act: replacing(TOKEN, () => seal(TOKEN, 'old', { version: 4 })),
    },
    {
      what: '16 a value that somebody made in the name of the owner',
      code: 'secret-forged',
      act: replacing(TOKEN, () => seal(TOKEN, 'mine', { keys: forged })),
    },
    {
      what: "17 another owner's value",
      code: 'secret-foreign-signer',
      act: replacing(TOKEN, () => seal(TOKEN, 'mine', { keys: mallory })),
    },
    {
      what: '18 a grant that another made, over the values of the owner',
      code: 'secret-foreign-signer',
      word: (content) => makeGrant(mallory.signer, content, randomBytes(16)),
    },
    {
      what: '18 a grant that another signed in the name of the owner',
      code: 'grant-forged',
      word: (content) => makeGrant({ ...mallory.signer, publicKey: keys.signer.publicKey }, content, randomBytes(16)),
    },
    {
      what: '19 the signature of a value',
      code: 'grant-forged',
      act: withGrant((word) => signed(keys.signer, 'value', payloadOf(word))),
    },
    {
      what: '20 fields in another order',
      code: 'grant-format',
      act: resigned((json) => {
        const { signer, ...rest } = JSON.parse(json);
        return JSON.stringify({ ...rest, signer });
      }),
    },
    {
      what: '20 a field that is there twice',
      code: 'grant-format',
      act: resigned((json) => json.replace('"jobs":1', '"jobs":1,"jobs":1')),
    },
    { what: '20 padded base64', code: 'grant-format', act: withGrant((word) => `${word}=`) },
    { what: 'a grant that is no text', code: 'grant-format', act: changing({ grant: { toString: 'x' } }) },
    {
      what: '21 a grant that has ended',
      code: 'grant-ended',
      grant: (content) => ({ ...content, end: Math.floor(Date.now() / 1000) - 60 }),
    },
    {
      what: '23 a grant for another site',
      code: 'grant-other-site',
      grant: (content) => ({ ...content, sites: [other.read.identity] }),
    },
    {
      what: '37 ten thousand stanzas',
      code: 'sealed-too-large',
      act: async (given) => {
        const [, value = ''] = given.delivered.find(([name]) => name === TOKEN) ?? [];
        const [begin = '', first = ''] = value.split('\n');
        const stanzas =
          Buffer.from('-> mlkem768x25519 AAAA\nAAAA\n'.repeat(10_000))
            .toString('base64')
            .match(/.{1,64}/g) ?? [];
        await replacing(TOKEN, () => [begin, first, ...stanzas, '-----END AGE ENCRYPTED FILE-----', ''].join('\n'))(
          given,
        );
      },
    },
    {
      what: '37 an enormous grant',
      code: 'sealed-too-large',
      act: withGrant((word) => word + 'A'.repeat(3 * 1024 * 1024)),
    },
    {
      what: "33 results for the server's recipient, in the name of the owner",
      code: 'grant-forged',
      act: withGrant((word) => {
        const changed = payloadOf(word)
          .toString()
          .replace('"results":null', `"results":"${mallory.results.recipient}"`);
        return `${Buffer.from(changed).toString('base64url')}.${word.split('.')[1]}`;
      }),
    },
    {
      what: "33 results for the server's recipient, signed by the server",
      code: 'secret-foreign-signer',
      word: (content) => makeGrant(mallory.signer, { ...content, results: mallory.results.recipient }, randomBytes(16)),
    },
    { what: '40 an output named as a placed secret', code: 'grant-template', task: { outputs: ['cert.pem'] } },
    {
      what: '40 an output that holds all secrets',
      code: 'grant-template',
      task: { outputs: ['x:panda_secrets.json'] },
    },
    {
      what: '42 words of its own in the refusal of the sandbox, and beside the job',
      code: 'sandbox-missing',
      act: changing(REMARKS),
      refusal: { status: 200, message: INJECTED },
    },
    { what: '42 a sandbox that is not there', code: 'sandbox-missing', refusal: { status: 404, message: INJECTED } },
    { what: '42 a sandbox that is kept back', code: 'sandbox-missing', refusal: { status: 403, message: INJECTED } },
    { what: 'no grant', code: 'grant-missing', act: ({ job }) => void delete job.grant },
    {
      what: 'a value for another site, sealed for the key of this one',
      code: 'secret-other-site',
      act: replacing(TOKEN, () => seal(TOKEN, 'x', { sites: [{ ...record, identity: otherSite.identity }] })),
    },
    {
      what: 'a value that this site cannot open',
      code: 'secret-unreadable',
      act: replacing(TOKEN, () => seal(TOKEN, 'x', { sites: [otherSite] })),
    },
  ];
}

test(
  'each act of a hostile server ends its job with the code of what was wrong, before anything runs',
  bubblewrap,
  async (t) => {
    const site = await openHostileServer(t);
    const all = await attacks(site);
    const tried: { what: string; code: string; taskId: number }[] = [];
    for (const attack of all)
      tried.push({ what: attack.what, code: attack.code, taskId: (await site.submit(attack)).taskId });
    const { status, said } = await site.runPilot(all.length, ['--slots', '2', '--share', dirname(site.keyFolder)]);
    assert.equal(status, 0, said);
    for (const { what, code, taskId } of tried) {
      await t.test(what, async () => {
        assert.equal(await site.diagnosisOf(taskId), code);
        const files = await site.filesOf(taskId);
        assert.deepEqual(
          files.filter(({ listed }) => listed.kind === 'output'),
          [],
        );
        if (code !== 'sandbox-missing') return;
        const [log] = files;
        assert.ok(log);
        assertOwnLines(log.content, 'failed: the sandbox did not come from the server (sandbox-missing)');
      });
    }
    const asked = site.middle.exchanges.map(({ path }) => path).filter((path) => path.startsWith('/cache/'));
    assert.equal(new Set(asked).size, asked.length, 'what is refused is not asked for again');
    const passed = site.middle.exchanges
      .map(({ body, answer }) => `${body.toString('latin1')}${answer.body.toString('latin1')}`)
      .join('\n');
    for (const value of [TOKEN_VALUE, base64(TOKEN_VALUE), CERTIFICATE, base64(CERTIFICATE)])
      assert.ok(!passed.includes(value));
  },
);

test(
  "9, 22, 38, 42 a job with a grant runs as its owner signed it, finds its secrets and not the site's key, and its node signs what it brings",
  bubblewrap,
  async (t) => {
    const site = await openHostileServer(t);
    let first: Given | undefined;
    const honest = await site.submit({
      act: (given) => {
        first = structuredClone(given);
        // None of this is the server's to say.
        Object.assign(given.job, {
          maxWalltime: 1,
          logFile: 'other.log.tgz',
          outFiles: 'other.txt,other.log.tgz',
          sandboxSha256: undefined,
          transformation: 'x',
          minRamCount: 1,
          secretsMaskedWhole: [0, 1],
          ...REMARKS,
        });
      },
      task: { exec: `SLEEP=1.5 sh run.sh ${site.keyFolder}` },
    });
    // The same once more, as the job of another task.
    const replayed = await site.submit({
      act: (given) => {
        assert.ok(first);
        Object.assign(given.job, { ...first.job, PandaID: given.job.PandaID });
        given.delivered = first.delivered;
      },
    });
    const { status, said } = await site.runPilot(2, ['--share', dirname(site.keyFolder)]);
    assert.equal(status, 0, said);
    assert.equal(await site.diagnosisOf(honest.taskId), '', said);
    assert.equal(await site.diagnosisOf(replayed.taskId), 'grant-replayed');

    const files = await site.filesOf(honest.taskId);
    const output = files.find(({ listed }) => listed.kind === 'output');
    const log = files.find(({ listed }) => listed.kind === 'log');
    assert.ok(output && log);
    assertOwnLines(log.content, 'the payload finished');
    const json = `{"TOKEN":"${TOKEN_VALUE}","${FILE}":"${base64(CERTIFICATE)}"}`;
    const seen = output.content.toString();
    assert.ok(seen.includes(digest(json)), seen);
    assert.ok(seen.includes(digest(CERTIFICATE)), seen);
    assert.equal(seen.match(/cat: .*site\.key(\.pub)?: No such file/g)?.length, 2, seen);

    const { nonce } = JSON.parse(Buffer.from(honest.grant.split('.')[0] ?? '', 'base64url').toString());
    for (const { listed, content } of [output, log]) {
      const { kind, name, signature = '' } = listed;
      const expected = { nonce, serial: 1, attempt: 1, kind, name, seq: 0, last: true, sha256: digest(content) };
      readResult(signature, [site.record.resultSigner], expected);
      assert.throws(() => readResult(signature, [site.record.resultSigner], { ...expected, sha256: digest('other') }), {
        code: 'result-other',
      });
    }
  },
);

test('21 the clock of the server makes no grant last longer', bubblewrap, async (t) => {
  const site = await openHostileServer(t, { clock: () => Date.now() - DAY_SECONDS * 1000 });
  const ended = await site.submit({ grant: (content) => ({ ...content, end: nowSeconds() - 60 }) });
  const { status, said } = await site.runPilot(1, ['--share', dirname(site.keyFolder)]);
  assert.equal(status, 0, said);
  assert.equal(await site.diagnosisOf(ended.taskId), 'grant-ended');
});

test('21 a clock of the node that says less than the day of the release is not believed', bubblewrap, async (t) => {
  const site = await openHostileServer(t);
  const identity = await readSiteIdentity(join(site.keyFolder, '../../identity.json'));
  const request = await renewSiteKey(site.keyFile, 'default', nowSeconds());
  await writeRecord(site.keyFile, signSiteRecord(identity, request, RELEASED_SECONDS - DAY_SECONDS));
  const until = async (end: number) => (await site.submit({ grant: (content) => ({ ...content, end }) })).taskId;
  const [ended, lasting] = [await until(RELEASED_SECONDS - 60), await until(RELEASED_SECONDS + 60)];
  const behind = nowSeconds() - RELEASED_SECONDS + 30 * DAY_SECONDS;
  const clock = `const now=Date.now;Date.now=()=>now()-${behind * 1000}`;
  const { status, said } = await site.runPilot(2, ['--share', dirname(site.keyFolder)], {
    NODE_OPTIONS: `--import=data:text/javascript,${clock.replace(' ', '%20')}`,
  });
  assert.equal(status, 0, said);
  assert.deepEqual([await site.diagnosisOf(ended), await site.diagnosisOf(lasting)], ['grant-ended', '']);
});

/** A log in which the pilot said that an attempt began and how it ended, and the server nothing. @param log packed */
function assertOwnLines(log: Buffer, end: string): void {
  const text = gunzipSync(log).toString();
  const lines = text.match(/panda-pilot: .*/g) ?? [];
  assert.deepEqual([lines.length, lines.at(-1)], [2, `panda-pilot: ${end}`], text);
  assert.doesNotMatch(text, /injected|2031/);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
