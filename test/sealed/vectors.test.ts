import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { splitJob } from '../../src/protocol/job-split.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { openEnvelope, sealEnvelope } from '../../src/sealed/envelope.ts';
import { readGrant } from '../../src/sealed/grant.ts';
import { openedBytes, openedStream } from '../../src/sealed/open-result.ts';
import { readResult } from '../../src/sealed/result.ts';
import { signerOf } from '../../src/sealed/signed.ts';
import { siteIdOf } from '../../src/sealed/site-id.ts';
import { readSiteRecord } from '../../src/sealed/site-record.ts';
import { importRoot, nodeKeysOf, recoveryCodeOf, rootOfRecoveryCode, userKeysOf } from '../../src/sealed/user-root.ts';
import { flipped, fromHex, readVectors } from '../sealing/vectors.ts';

// biome-ignore-start lint/suspicious/noExplicitAny: the files are the vectors' own description
const derivation = readVectors<any>('sealed/derivation');
const root = () => importRoot(fromHex(derivation.user.root));
const nodeRoot = () => importRoot(fromHex(derivation.node.root));

test("the vectors of the keys' derivation", async () => {
  const user = await userKeysOf(root());
  assert.equal(user.age.recipient, derivation.user.age.recipient);
  assert.equal(user.results.recipient, derivation.user.results.recipient);
  assert.equal(user.signer.publicKey, derivation.user.sign.publicKey);
  const node = await nodeKeysOf(nodeRoot());
  assert.equal(node.age.recipient, derivation.node.age.recipient);
  assert.equal(node.resultSigner.publicKey, derivation.node.sign.publicKey);
  assert.equal(recoveryCodeOf(root()), derivation.user.recoveryCode);
  assert.equal(rootOfRecoveryCode(derivation.user.recoveryCode).export().toString('hex'), derivation.user.root);
  const identity = signerOf(fromHex(derivation.site.seed));
  assert.equal(identity.publicKey, derivation.site.publicKey);
  assert.equal(siteIdOf(identity.publicKey), derivation.site.id);
});

/** Ways in which a Node may have the hybrid keys: whole (26), ML-KEM alone (24.7), or not at all, where the age library's own are used. */
const NODES: Record<string, RegExp | undefined> = {
  'this Node': undefined,
  'a Node with ML-KEM alone': /^MLKEM768-X25519$/,
  'a Node without ML-KEM': /ML-?KEM/,
};

for (const [node, missing] of Object.entries(NODES)) {
  test(`the vectors of the envelope open on ${node}, and so does what it seals`, async (t) => {
    if (missing) hide(t, missing);
    const { signer, envelopes } = readVectors<any>('sealed/envelope');
    const user = await userKeysOf(root());
    const site = await nodeKeysOf(nodeRoot());
    const record = readVectors<any>('sealed/site-record').record;
    for (const { name, version, sites, value, sealed } of envelopes) {
      const made = await sealEnvelope(user, { name, version, value: new Plaintext(value), sites: [record] });
      for (const text of [sealed, made]) {
        for (const [identity, id] of [[user.age.identity], [site.age.identity, derivation.site.id]]) {
          const opened = await openEnvelope(text, [identity], { signer, name, atLeast: version, site: id });
          assert.equal(opened.value.reveal(), value);
          assert.deepEqual([opened.version, opened.sites], [version, sites]);
        }
      }
    }
    if (node === 'a Node without ML-KEM') assert.equal(typeof user.age.identity, 'string');
  });
}

/** Has Web Cryptography know no algorithm of such a name until the test's end. */
function hide(t: TestContext, missing: RegExp): void {
  const { importKey } = SubtleCrypto.prototype;
  t.mock.method(SubtleCrypto.prototype, 'importKey', function (this: SubtleCrypto, ...given: any) {
    const [, , algorithm] = given;
    if (missing.test(algorithm.name ?? algorithm)) throw new DOMException('no such algorithm', 'NotSupportedError');
    return (importKey as any).apply(this, given);
  });
  const { supports } = SubtleCrypto as any;
  if (!supports) return;
  t.mock.method(SubtleCrypto as any, 'supports', (operation: string, algorithm: any, ...more: unknown[]) => {
    return !missing.test(algorithm.name ?? algorithm) && supports.call(SubtleCrypto, operation, algorithm, ...more);
  });
}

test("the vectors of a site's record, a grant and a result are read", () => {
  const site = readVectors<any>('sealed/site-record');
  assert.deepEqual(readSiteRecord(site.signed), site.record);
  const { grant, signed, jobs } = readVectors<any>('sealed/grant');
  assert.deepEqual(readGrant(signed), grant);
  for (const { serial, ...job } of jobs)
    assert.deepEqual(splitJob(grant.template, { taskId: grant.task, serial }), job);
  const result = readVectors<any>('sealed/result');
  assert.deepEqual(readResult(result.signed, [derivation.node.sign.publicKey], result.result), result.result);
});
test('the vectors of results, sealed and not, are read and opened', async () => {
  const user = await userKeysOf(root());
  for (const { isSealed, content, sent, result, signed } of readVectors<any>('sealed/sealed-results').results) {
    const bytes = Buffer.from(sent, 'base64');
    const { sha256, name } = readResult(signed, [derivation.node.sign.publicKey], result);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
    const opened = isSealed ? await openedBytes(bytes, user.results.identity, name) : bytes;
    assert.equal(opened.toString(), content);
    if (!isSealed) continue;
    await assert.rejects(openedBytes(bytes, user.age.identity, name), { code: 'result-unreadable' });
    for (const damaged of [flipped(bytes, 5), flipped(bytes, bytes.length - 1), bytes.subarray(0, -1)]) {
      await assert.rejects(openedBytes(damaged, user.results.identity, name), { code: 'result-unreadable' });
      const stream = openedStream(Readable.from([damaged]), user.results.identity, name);
      await assert.rejects(buffer(stream), { code: 'result-unreadable' });
    }
    assert.equal(await text(openedStream(Readable.from([bytes]), user.results.identity, name)), content);
  }
});
// biome-ignore-end lint/suspicious/noExplicitAny: as above

const needs = 'cryptography.hazmat.primitives.asymmetric.mlkem';
const noPython = spawnSync('python3', ['-c', `import ${needs}`]).status !== 0;

test('a second implementation, in Python, agrees with every vector', {
  skip: noPython && "python3 with cryptography 48 or newer is not installed (pip install 'cryptography>=48')",
}, () => {
  const script = new URL('./second_implementation.py', import.meta.url).pathname;
  const { stdout, stderr, status } = spawnSync('python3', [script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^checked 2\d\d$/m);
});
