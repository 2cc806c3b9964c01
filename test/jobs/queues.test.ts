import assert from 'node:assert/strict';
import { addQueue, checkQueues, findQueue, listQueues, removeQueue, setQueue } from '../../src/jobs/queues.ts';
import { eachStore } from '../stores.ts';

eachStore('a queue gives secrets over TLS alone only when it is added that way', async (_t, database) => {
  const store = await database.open();
  await addQueue(store, Date.now, 'open', { allowTlsSecrets: true });
  await addQueue(store, Date.now, 'default');
  assert.deepEqual(await listQueues(store), [
    { name: 'default', allowTlsSecrets: false, state: 'open' },
    { name: 'open', allowTlsSecrets: true, state: 'open' },
  ]);
  assert.equal(await findQueue(store, 'none'), undefined);
});

eachStore('queues that are not there are refused with their names and those that are', async (_t, database) => {
  const store = await database.open();
  await assert.rejects(checkQueues(store, ['Q1']), { message: 'queues: there is no queue "Q1"; there is none yet' });
  for (const name of ['Q2', 'Q1']) await addQueue(store, Date.now, name);
  await checkQueues(store, ['Q1', 'Q2']);
  await assert.rejects(checkQueues(store, ['Q1', 'Q3', 'Q4']), {
    code: 'ERR_INVALID_ARGUMENT',
    message: 'queues: there are no queues "Q3", "Q4"; the queues are Q1, Q2',
  });
});

eachStore('a name that a URL or a command line would take apart is refused', async (_t, database) => {
  const store = await database.open();
  for (const name of ['', 'a b', 'a/b', 'a,b', 'a|b', 'x'.repeat(65)]) {
    await assert.rejects(addQueue(store, Date.now, name), { code: 'ERR_INVALID_ARGUMENT' }, name);
  }
});

eachStore('a queue that is there is not changed by adding it again', async (_t, database) => {
  const store = await database.open();
  const strict = { name: 'Q', allowTlsSecrets: false, state: 'open' };
  assert.deepEqual(await addQueue(store, Date.now, 'Q'), { queue: strict, isNew: true, told: 0 });
  assert.deepEqual(await addQueue(store, Date.now, 'Q'), { queue: strict, isNew: false, told: 0 });
  await assert.rejects(addQueue(store, Date.now, 'Q', { allowTlsSecrets: true }), {
    code: 'ERR_ALREADY_EXISTS',
    message:
      'there is a queue "Q" already, which gives secrets sealed only: nothing was changed. ' +
      '"panda-secrets queue set Q --allow-tls-secrets" changes that',
  });
  assert.deepEqual(await findQueue(store, 'Q'), strict);
});

eachStore('a change of a queue answers what it was, and an unknown one is refused', async (_t, database) => {
  const store = await database.open();
  await addQueue(store, Date.now, 'Q');
  const changed = await setQueue(store, Date.now, 'Q', { state: 'paused' });
  assert.deepEqual([changed.was.state, changed.queue.state], ['open', 'paused']);
  assert.deepEqual(await findQueue(store, 'Q'), changed.queue);
  const weaker = await setQueue(store, Date.now, 'Q', { allowTlsSecrets: true });
  assert.deepEqual(weaker.queue, { name: 'Q', allowTlsSecrets: true, state: 'paused' });
  await assert.rejects(setQueue(store, Date.now, 'R', { state: 'open' }), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(removeQueue(store, Date.now, 'R'), { message: /no queue "R"; the queues are Q/ });
});
