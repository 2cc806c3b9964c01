import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { SealedSecrets } from '../../src/protocol/calls/pilot.ts';
import type { DeliveryContext, SealingKey } from '../../src/protocol/sealed.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { sealDelivery } from './seal.ts';

const oldNode = process.env['PANDA_TEST_NODE_24'] ?? '';
const options = { skip: oldNode === '' && 'PANDA_TEST_NODE_24 names no program of Node 24', timeout: 100_000 };

const context: DeliveryContext = { jobId: 10_000_001, attempt: 1, ownerId: 'alice', pilotId: 'pilot-1' };

/** Runs a module on the oldest Node. It ends when the test does. */
function onOldestNode(signal: AbortSignal, script: string) {
  const urlOf = (path: string) => JSON.stringify(pathToFileURL(`${import.meta.dirname}/${path}`).href);
  const program = `
    import { json } from 'node:stream/consumers';
    import { newRecipient } from ${urlOf('../../src/sealing/delivery.ts')};
    import { sealDelivery } from ${urlOf('seal.ts')};
    const context = ${JSON.stringify(context)};
    ${script}`;
  const child = spawn(oldNode, ['--input-type=module', '--eval', program], {
    signal,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  }) as ChildProcessByStdio<Writable, Readable, null>;
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  return child;
}

test('a server on the oldest Node seals what a pilot on this one opens', options, async ({ signal }) => {
  const script =
    "console.log(JSON.stringify(await sealDelivery(await json(process.stdin), context, Buffer.from('a secret'))));";
  const server = onOldestNode(signal, script);
  const recipient = await newRecipient();
  server.stdin.end(JSON.stringify(recipient.offers));
  const sealed = (await json(server.stdout)) as SealedSecrets;
  assert.equal(Buffer.from(await recipient.open(sealed, context)).toString(), 'a secret');
});

test('a pilot on the oldest Node opens what a server on this one seals', options, async ({ signal }) => {
  const script = `
    import { writeFileSync, closeSync } from 'node:fs';
    const recipient = await newRecipient();
    writeFileSync(3, JSON.stringify(recipient.offers));
    closeSync(3);
    console.log(Buffer.from(await recipient.open(await json(process.stdin), context)).toString());`;
  const pilot = onOldestNode(signal, script);
  const offers = (await json(pilot.stdio[3] as Readable)) as SealingKey[];
  pilot.stdin.end(JSON.stringify(await sealDelivery(offers, context, Buffer.from('a secret'))));
  assert.equal(await text(pilot.stdout), 'a secret\n');
});
