import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkAnswer, type ProvenAnswer, proveAnswer } from '../../src/protocol/answer-proof.ts';
import { InvalidArgument } from '../../src/protocol/errors.ts';
import {
  answerKeyOf,
  answerMac,
  formatJoinToken,
  type JoinAnswer,
  type JoinRequest,
  joinKeyOf,
  newJoinToken,
  parseJoinToken,
  requestMac,
} from '../../src/protocol/join.ts';
import { readVectors } from '../sealing/vectors.ts';

interface Vector {
  token: string;
  joinKey: string;
  request: JoinRequest;
  requestMac: string;
  answer: JoinAnswer;
  answerMac: string;
  answerKey: string;
  provenAnswer: ProvenAnswer;
  serverTime: number;
  answerHeader: string;
}

const vector = readVectors<Vector>('join');
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

test('what a join token keys is what a second implementation makes of it', () => {
  const joinKey = joinKeyOf(parseJoinToken(vector.token));
  assert.equal(base64url(joinKey), vector.joinKey);
  assert.equal(requestMac(joinKey, vector.request), vector.requestMac);
  assert.equal(answerMac(joinKey, vector.requestMac, vector.answer), vector.answerMac);
  const answerKey = answerKeyOf(joinKey, vector.requestMac, vector.answer.pilotId);
  assert.equal(base64url(answerKey), vector.answerKey);
  const key = createSecretKey(answerKey);
  assert.equal(proveAnswer(key, vector.provenAnswer, vector.serverTime), vector.answerHeader);
});

test('a join token is read as it was written, and nothing else is read as one', () => {
  const token = newJoinToken();
  const text = formatJoinToken(token);
  assert.deepEqual(parseJoinToken(text), token);
  const [id, secret = ''] = text.split('.');
  for (const other of [
    '',
    id ?? '',
    `${text}.`,
    `${text}A`,
    `${id}.${secret.slice(1)}`,
    `x${text}`,
    `${id}.${secret}=`,
  ]) {
    assert.throws(
      () => parseJoinToken(other),
      (error) => error instanceof InvalidArgument && !error.message.includes(secret),
    );
  }
  fc.assert(
    fc.property(fc.string(), (any) => {
      assert.throws(() => parseJoinToken(any), InvalidArgument);
    }),
  );
});

test('a proof of an answer is good for that answer alone', () => {
  const key = createSecretKey(Buffer.alloc(32, 1));
  const answer = { jti: 'a', status: 200, body: 'body' };
  const header = proveAnswer(key, answer, 1234);
  assert.equal(checkAnswer(key, answer, header), 1234);
  assert.equal(checkAnswer(key, { ...answer, body: Buffer.from('body') }, header), 1234);
  for (const other of [
    { ...answer, jti: 'b' },
    { ...answer, status: 201 },
    { ...answer, body: 'bodY' },
  ]) {
    assert.equal(checkAnswer(key, other, header), undefined);
  }
  const mac = header.split('.')[1];
  for (const changed of [undefined, '', '1234', `1235.${mac}`, `.${mac}`, `1e3.${mac}`, `1234.${mac}.x`.slice(0, -3)]) {
    assert.equal(checkAnswer(key, answer, changed), undefined);
  }
});
