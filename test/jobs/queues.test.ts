import assert from 'node:assert/strict';
import { addQueue, checkQueues, findQueue, listQueues } from '../../src/jobs/queues.ts';
import { eachStore } from '../stores.ts';

eachStore('a queue gives secrets over TLS alone only when it is added that way', async (_t, database) => {
  const store = await database.open();
  await addQueue(store, Date.now, 'open', { allowTlsSecrets: true });
  await addQueue(store, Date.now, 'default');
  assert.deepEqual(await listQueues(store), [
    { name: 'default', allowTlsSecrets: false },
    { name: 'open', allowTlsSecrets: true },
  ]);
  await addQueue(store, Date.now, 'open', { allowTlsSecrets: false });
  assert.deepEqual(await findQueue(store, 'open'), { name: 'open', allowTlsSecrets: false });
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
