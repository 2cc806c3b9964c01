import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNewPassword, hashPassword, isPassword } from '../../src/identity/passwords.ts';
import { InvalidArgument, Misconfigured } from '../../src/protocol/errors.ts';

test('a password is known by its hash, and no other is', async () => {
  const hash = await hashPassword('correct horse battery');
  assert.match(hash, /^\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.equal(await isPassword('correct horse battery', hash), true);
  assert.equal(await isPassword('correct horse batterz', hash), false);
  assert.equal(await isPassword('', hash), false);
});

test('a hash of another cost is still good', async () => {
  const hash = '$scrypt$ln=4,r=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$bW9kZXJu';
  assert.equal(await isPassword('correct horse battery', hash), false);
});

test('a password may be typed on any keyboard: what looks the same is the same', async () => {
  const hash = await hashPassword('schöne grüne Wälder');
  assert.equal(await isPassword('scho\u0308ne gru\u0308ne Wa\u0308lder', hash), true);
});

test('two hashes of one password differ', async () => {
  const [one, two] = await Promise.all([hashPassword('correct horse battery'), hashPassword('correct horse battery')]);
  assert.notEqual(one, two);
});

test('an account without a password has none that is right, after as long as a check takes', async () => {
  const started = performance.now();
  assert.equal(await isPassword('correct horse battery', null), false);
  assert.ok(performance.now() - started > 20);
});

test('a hash that is none is no silent "wrong password"', async () => {
  await assert.rejects(isPassword('x', 'plain'), Misconfigured);
});

test('a password is long enough, not too long, and not the name', () => {
  for (const [password, message] of [
    ['eleven char', /at least 12 characters/],
    ['💚'.repeat(11), /at least 12 characters/],
    ['x'.repeat(257), /at most 256 characters/],
    ['alicealicealice', /name of its account/],
  ] as const) {
    assert.throws(
      () => checkNewPassword(password, 'alice'),
      (error) => {
        assert.ok(error instanceof InvalidArgument);
        assert.match(error.message, message);
        assert.ok(!error.message.includes(password));
        return true;
      },
    );
  }
  checkNewPassword('twelve chars', 'alice');
  checkNewPassword('alice likes green forests', 'alice');
});

test('a flood of passwords is refused beyond what can be checked soon', async () => {
  const hash = '$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xXt6EAFzAOlee5Hgl8R5+kLA6sDARjRcMGtm6fZJsa8';
  const tries = await Promise.allSettled(Array.from({ length: 300 }, () => isPassword('wrong', hash)));
  const refused = tries.filter((one) => one.status === 'rejected');
  assert.ok(refused.length > 0 && refused.length < 300, `${refused.length} refused`);
  for (const { reason } of refused) assert.equal(reason.code, 'ERR_TOO_MANY_TRIES');
  assert.equal(await isPassword('correct horse battery', hash), true, 'afterwards it goes on');
});
