import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseClockAhead } from '../../src/site/retention.ts';
import { lastChainTime } from '../../src/store/diagnosis.ts';
import { startServer } from '../server/start.ts';
import { eachStore } from '../stores.ts';

const DAY = 24 * 3600_000;

test('by a clock that was set ahead nothing is removed; one that went on, slept or was set back is believed', () => {
  let [now, elapsed] = [Date.UTC(2030, 0, 1), 5000];
  const check = refuseClockAhead(
    () => now,
    now - 170 * DAY,
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

eachStore('a clock that is years ahead of what was written last is not believed at a start', async (t, database) => {
  const settings = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const first = await startServer(t, { settings });
  await first.userToken('alice');
  const { store } = first.installation;
  const written = await lastChainTime(store.db);
  assert.ok(written !== undefined && Math.abs(written - Date.now()) < DAY);
  const later = () => Date.now() + 3 * 365 * DAY;
  assert.throws(refuseClockAhead(later, written), {
    code: 'ERR_CONFLICT',
    message: /^at the start of the server the clock was 1095 days ahead of the newest entry of the audit/,
  });
  refuseClockAhead(later, undefined)();
  refuseClockAhead(Date.now, written)();
});
