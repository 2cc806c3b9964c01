import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toBase64url } from '../../src/protocol/base64url.ts';
import { splitJob } from '../../src/protocol/job-split.ts';
import { MAX_GRANT_CHARS, MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { admitJob, openGranted, type Release } from '../../src/sealed/admission.ts';
import { type GrantContent, readGrant } from '../../src/sealed/grant.ts';
import { signed } from '../../src/sealed/signed.ts';
import { grantOf, NOW, sealedFor, siteNumber, TEMPLATE, userNumber } from './samples.ts';

const user = await userNumber(1);
const site = await siteNumber(1);
const other = await siteNumber(2);
const id = site.read.identity;
const node = { site: id, now: NOW };
const grant = grantOf(user, [id]);
const sealed = await sealedFor(user, [site.read]);
const good: Release = {
  grant,
  taskId: 10_000_001,
  serial: 2,
  attempt: 1,
  parameters: splitJob(TEMPLATE, { taskId: 10_000_001, serial: 2 }).parameters,
  delivered: [['TOKEN', sealed]],
};
const refused = (code: string) => ({ name: 'SealedRefusal', code });
const admits = (change: Partial<Release>) => admitJob({ ...good, ...change }, node);
const changedGrant = (change: object) => {
  const payload = { ...JSON.parse(payloadOf(grant).toString()), ...change };
  return signed(user.signer, 'grant', Buffer.from(JSON.stringify(payload)));
};

test('a job that is as its grant says is admitted, and its secrets open', async () => {
  const job = admits({});
  assert.ok(job);
  assert.equal(job.parameters, good.parameters);
  assert.equal(job.payload.command, 'echo 6');
  assert.deepEqual(job.outputs, ['user.al.10000001._000002.out.txt']);
  const [secret] = await openGranted(job, [site.node.age.identity], id);
  assert.equal(secret?.value.reveal(), 'a-value-to-hide');
});

test('secrets are opened all or none', async () => {
  const job = { grant: readGrant(grant), sealed: [] };
  await assert.rejects(openGranted(job, [site.node.age.identity], id), refused('secret-missing'));
});

test('a job with neither sealed secrets nor a grant is an ordinary one', () => {
  assert.equal(admitJob({ ...good, grant: undefined, delivered: [['A', 'plain']] }, node), undefined);
});

test('the first thing that a server did wrong is told', async () => {
  const foreign = await userNumber(9);
  const text = payloadOf(grant).toString();
  const reordered = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse()));
  const { template } = readGrant(grant);
  const noSandbox = template.parameters.map((piece) => ({
    ...piece,
    text: piece.text.replace('-a jobO.1.tar.gz ', ''),
  }));
  const cases: [string, string, () => unknown][] = [
    ['a grant of 100 MB', 'sealed-too-large', () => admits({ grant: 'A'.repeat(MAX_GRANT_CHARS + 1) })],
    [
      'a large grant, with something plain',
      'sealed-too-large',
      () => admits({ grant: 'A'.repeat(MAX_GRANT_CHARS + 1), delivered: [['TOKEN', 'plain']] }),
    ],
    [
      'a large value, and no grant',
      'sealed-too-large',
      () => admits({ grant: undefined, delivered: [['TOKEN', sealed.padEnd(MAX_VALUE_BYTES + 1)]] }),
    ],
    [
      'a value without an end of its header, and no grant',
      'sealed-too-large',
      () => admits({ grant: undefined, delivered: [['TOKEN', sealed.slice(0, 200)]] }),
    ],
    ['sealed without a grant', 'grant-missing', () => admits({ grant: undefined })],
    [
      'a plain file beside',
      'plain-in-sealed-job',
      () => admits({ delivered: [...good.delivered, ['___file___:json.py', 'eA==']] }),
    ],
    [
      'a plain variable beside',
      'plain-in-sealed-job',
      () => admits({ delivered: [...good.delivered, ['GIT_SSH_COMMAND', 'sh']] }),
    ],
    ['plain in its place', 'plain-in-sealed-job', () => admits({ delivered: [['TOKEN', 'plain']] })],
    ['no word', 'grant-format', () => admits({ grant: 'x' })],
    ['padded', 'grant-format', () => admits({ grant: `${grant}=` })],
    [
      'fields in another order',
      'grant-format',
      () => admits({ grant: signed(user.signer, 'grant', Buffer.from(reordered)) }),
    ],
    [
      'a doubled field',
      'grant-format',
      () => admits({ grant: signed(user.signer, 'grant', Buffer.from(text.replace('"task":', '"task":1,"task":'))) }),
    ],
    ['a task that is text', 'grant-format', () => admits({ grant: changedGrant({ task: '10000001' }) })],
    ['sites not in order', 'grant-format', () => admits({ grant: changedGrant({ sites: [id, id] }) })],
    [
      'a secret twice',
      'grant-format',
      () =>
        admits({
          grant: changedGrant({
            secrets: [
              { name: 'TOKEN', atLeast: 1 },
              { name: 'TOKEN', atLeast: 1 },
            ],
          }),
        }),
    ],
    ['a recipient of the server', 'grant-forged', () => admits({ grant: forged({ results: site.read.recipient }) })],
    ['jobs raised', 'grant-forged', () => admits({ grant: forged({ jobs: 1000 }) })],
    ['signed by another', 'grant-forged', () => admits({ grant: forged({}) })],
    [
      'a value shown as a grant',
      'grant-forged',
      () => admits({ grant: signed(user.signer, 'value', payloadOf(grant)) }),
    ],
    ['ended', 'grant-ended', () => admitJob(good, { ...node, now: NOW + 3600 })],
    ['for another site', 'grant-other-site', () => admits({ grant: grantOf(user, [other.read.identity]) })],
    ...['2', 0, 4, 1.5, null, Number.NaN, 2n].map((serial): [string, string, () => unknown] => [
      `serial ${String(serial)}`,
      'grant-place',
      () => admits({ serial }),
    ]),
    ['an attempt too many', 'grant-place', () => admits({ attempt: 3 })],
    [
      'a sandbox without its digest',
      'grant-template',
      () => admits({ grant: grantOf(user, [id], { template: { ...template, sandboxSha256: null } }) }),
    ],
    [
      'a digest without its sandbox',
      'grant-template',
      () => admits({ grant: grantOf(user, [id], { template: { ...template, parameters: noSandbox } }) }),
    ],
    [
      'other secret forms',
      'grant-template',
      () => admits({ grant: grantOf(user, [id], { template: { ...template, secretForms: ['json'] } }) }),
    ],
    ...(
      [
        ['an output that the command does not bring', { outputs: [...template.outputs, 'user.al.more.txt'] }],
        ['an output of another name', { outputs: ['user.al.other.txt'] }],
        ['a log in the place of an output', { log: template.outputs[0] ?? '' }],
      ] satisfies [string, Partial<GrantContent['template']>][]
    ).map(([what, change]): [string, string, () => unknown] => [
      what,
      'grant-template',
      () => admits({ grant: grantOf(user, [id], { template: { ...template, ...change } }) }),
    ]),
    ['another task', 'job-changed', () => admits({ taskId: 10_000_002 })],
    ['a task that closes a quote', 'job-changed', () => admits({ taskId: "1'" })],
    ['another command', 'job-changed', () => admits({ parameters: String(good.parameters).replace('echo', 'cat') })],
    [
      'another directory',
      'job-changed',
      () => admits({ parameters: String(good.parameters).replace('-r .', '-r bin') }),
    ],
    [
      'another output',
      'job-changed',
      () => admits({ parameters: String(good.parameters).replace('out.txt', 'panda_secrets.json') }),
    ],
    ['a secret withheld', 'secret-missing', () => admits({ delivered: [] })],
    ['another one in its place', 'secret-missing', () => admits({ delivered: [['OTHER', sealed]] })],
    ['one more', 'secret-extra', () => admits({ delivered: [...good.delivered, ['OTHER', sealed]] })],
    ['one twice', 'secret-extra', () => admits({ delivered: [...good.delivered, ...good.delivered] })],
  ];
  for (const [what, code, work] of cases) assert.throws(work, refused(code), what);

  function forged(change: object): string {
    return signed(foreign.signer, 'grant', Buffer.from(JSON.stringify({ ...JSON.parse(text), ...change })));
  }
});

test('an output may not be a file in which the job finds secrets', async () => {
  const granted = [{ name: '___file___:key.pem', atLeast: 5 }];
  const file = await sealedFor(user, [site.read], { name: wireName('key.pem', 'file'), value: 'eA==' });
  for (const name of [
    'panda_secrets.json',
    './panda_secrets.json',
    '.panda_secrets/panda_secrets.json',
    'x/../key.pem',
    'key.pem',
    '../x',
    '/etc/x',
  ]) {
    const pieces = TEMPLATE.parameters.map((piece) => ({
      ...piece,
      text: piece.text.replace("'out.txt'", `'${name}'`),
    }));
    const template = { ...TEMPLATE, parameters: pieces };
    const release: Release = {
      ...good,
      grant: grantOf(user, [id], { template, secrets: granted }),
      parameters: splitJob(template, { taskId: 10_000_001, serial: 2 }).parameters,
      delivered: [['___file___:key.pem', file]],
    };
    assert.throws(() => admitJob(release, node), refused('grant-template'), name);
  }
});

test('two envelopes that were swapped, an older one, and one of another owner are refused', async () => {
  const two = [
    { name: 'A', atLeast: 5 },
    { name: 'B', atLeast: 5 },
  ];
  const [a, b] = await Promise.all(['A', 'B'].map((name) => sealedFor(user, [site.read], { name: wireName(name) })));
  const foreign = await sealedFor(await userNumber(9), [site.read], { name: wireName('A') });
  const old = await sealedFor(user, [site.read], { name: wireName('A'), version: 4 });
  const elsewhere = await sealedFor(user, [{ ...other.read, recipient: site.read.recipient }], { name: wireName('A') });
  const given = (first = '', second = '') => {
    const job = admitJob(
      {
        ...good,
        grant: grantOf(user, [id], { secrets: two }),
        delivered: [
          ['A', first],
          ['B', second],
        ],
      },
      node,
    );
    assert.ok(job);
    return openGranted(job, [site.node.age.identity], id);
  };
  assert.deepEqual(
    (await given(a, b)).map(({ name }) => name),
    ['A', 'B'],
  );
  await assert.rejects(given(b, a), refused('secret-swapped'));
  await assert.rejects(given(foreign, b), refused('secret-foreign-signer'));
  await assert.rejects(given(old, b), refused('secret-old'));
  await assert.rejects(given(elsewhere, b), refused('secret-other-site'));
});

test('any grant and any release is refused, and none throws anything else', () => {
  const anything = fc.anything();
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      anything,
      anything,
      anything,
      (text, serial, taskId, parameters) => {
        for (const word of [
          text,
          signed(user.signer, 'grant', Buffer.from(text)),
          `${toBase64url(Buffer.from(text))}.x`,
        ]) {
          assert.throws(() => admits({ grant: word }), { name: 'SealedRefusal' });
        }
        fc.pre(serial !== good.serial || taskId !== good.taskId);
        assert.throws(() => admits({ serial, taskId, parameters }), { name: 'SealedRefusal' });
      },
    ),
  );
});

test('any change of one field of a grant makes it another, or none', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(readGrant(grant))), fc.jsonValue(), (field, value) => {
      fc.pre(JSON.stringify(value) !== JSON.stringify((readGrant(grant) as Record<string, unknown>)[field]));
      const forged = `${toBase64url(Buffer.from(JSON.stringify({ ...readGrant(grant), [field]: value })))}.${grant.split('.')[1]}`;
      assert.throws(() => admits({ grant: forged }), { name: 'SealedRefusal' });
    }),
  );
});

function payloadOf(word: string): Buffer {
  return Buffer.from(word.split('.')[0] ?? '', 'base64url');
}
