import assert from 'node:assert/strict';
import { addQueue, findQueue, listQueues } from '../../src/jobs/queues.ts';
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

eachStore('a name that a URL or a command line would take apart is refused', async (_t, database) => {
  const store = await database.open();
  for (const name of ['', 'a b', 'a/b', 'a,b', 'a|b', 'x'.repeat(65)]) {
    await assert.rejects(addQueue(store, Date.now, name), { code: 'ERR_INVALID_ARGUMENT' }, name);
  }
});
