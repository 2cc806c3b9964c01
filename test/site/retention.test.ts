import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseClockAhead } from '../../src/site/retention.ts';

const DAY = 24 * 3600_000;

test('by a clock that was set ahead nothing is removed; one that went on, slept or was set back is believed', () => {
  let [now, elapsed] = [Date.UTC(2030, 0, 1), 5000];
  const check = refuseClockAhead(
    () => now,
    () => elapsed,
  );
  check();
  now += 400 * DAY;
  elapsed += 400 * DAY;
  check();
  now += 29 * DAY;
  check();
  now += 3650 * DAY;
  assert.throws(check, {
    code: 'ERR_CONFLICT',
    message: /^the clock was set ahead by 3679 days since the server started/,
  });
  now -= 5000 * DAY;
  check();
});
