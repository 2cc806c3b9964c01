import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createDoor } from '../../../src/site/workers/door.ts';
import { until } from '../../pilot/folders.ts';

async function openDoor(t: TestContext) {
  const door = createDoor();
  const { port } = await door.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => door.close(0));
  const call = async () => {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { door, call, port };
}

function taker() {
  const got: Socket[] = [];
  return { got, hand: (socket: Socket) => void got.push(socket) };
}

const becomes = (isSo: () => boolean) => until(isSo, (so) => so);

test('connections wait until somebody is free, and go to whom has been free for longest', async (t) => {
  const { door, call } = await openDoor(t);
  await call();
  await call();
  await call();
  const [one, other] = [taker(), taker()];
  door.add(one);
  door.add(other);
  await becomes(() => one.got.length === 1 && other.got.length === 1);
  door.taken(other);
  await becomes(() => other.got.length === 2);
  assert.equal(one.got.length, 1, 'it has not said that it has the first one');
});

test('a connection on its way to one that ends is closed, and those that wait go to the others', async (t) => {
  const { door, call } = await openDoor(t);
  const one = taker();
  door.add(one);
  const first = await call();
  await becomes(() => one.got.length === 1);
  await call();
  door.remove(one, true);
  await once(first.resume(), 'close');
  const other = taker();
  door.add(other);
  await becomes(() => other.got.length === 1);
});

test('a door that closes accepts nothing more, and hands over what it accepted', async (t) => {
  const { door, call, port } = await openDoor(t);
  const one = taker();
  door.add(one);
  await Promise.all([call(), call(), call()]);
  // Node accepts at least one in each turn of the event loop.
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(one.got.length, 1);
  const closed = door.close(60_000);
  const late = connect(port, '127.0.0.1');
  const [{ code }] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(code, 'ECONNREFUSED');
  for (const count of [2, 3]) {
    door.taken(one);
    await becomes(() => one.got.length === count);
  }
  door.taken(one);
  await closed;
});
