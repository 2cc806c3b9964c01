// Some of what is used here its makers do not promise: after a bump these tests say which part is another, and who uses it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import pg from 'pg';
import { loadLibrary } from '../../src/identity/provider/library.ts';
import { sendBatch } from '../../src/store/postgres-batch.ts';

const adapter = new SqliteAdapter();
const db = new Kysely<{ things: { name: string; size: number } }>({
  dialect: {
    createAdapter: () => adapter,
    createDriver: () => new DummyDriver(),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

test("Kysely's executor shows the adapter of its dialect, in a transaction too (store/prepared.ts)", async () => {
  assert.equal(db.getExecutor().adapter, adapter);
  await db.transaction().execute(async (tx) => assert.equal(tx.getExecutor().adapter, adapter));
});

test('Kysely keeps an object that stands for a value, and its place among the parameters (store/prepared.ts)', () => {
  const [name, size] = [{ stands: 'for a name' }, { stands: 'for a size' }] as never[];
  const { sql, parameters } = db
    .updateTable('things')
    .set({ name: name as never })
    .where('size', 'in', [size as never])
    .compile();
  assert.equal(sql, 'update "things" set "name" = ? where "size" in (?)');
  assert.ok(parameters[0] === name && parameters[1] === size);
});

test('Kysely runs a query that was compiled before (store/prepared.ts)', async () => {
  const query = db.selectFrom('things').selectAll().compile();
  assert.deepEqual((await db.executeQuery({ ...query, parameters: [] })).rows, []);
});

test('oidc-provider makes, finds and ends the session of a browser when asked to (identity/provider/browser-session.ts)', async () => {
  const { Provider } = await loadLibrary();
  const provider = new Provider('http://localhost', { cookies: { keys: ['key'] } });
  const session = new provider.Session();
  session.loginAccount({ accountId: 'somebody' });
  const id = await session.save(60);
  assert.equal((await provider.Session.find(id))?.accountId, 'somebody');
  const { req, res } = {
    req: new IncomingMessage(new Socket()),
    res: new ServerResponse(new IncomingMessage(new Socket())),
  };
  const { cookies } = provider.createContext(req, res);
  cookies.set(provider.cookieName('session'), id, { signed: true });
  req.headers.cookie = (res.getHeader('set-cookie') as string[]).map((cookie) => cookie.split(';')[0]).join('; ');
  const found = await provider.Session.get(provider.createContext(req, res) as never);
  assert.deepEqual([found.accountId, found.jti], ['somebody', id]);
  await found.destroy();
  assert.equal(await provider.Session.find(id), undefined);
});

test('Node calls a function of the C library (files/process-memory.ts)', {
  skip: process.allowedNodeEnvironmentFlags.has('--experimental-ffi') ? false : 'this Node has no node:ffi',
}, () => {
  const call = `
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, { prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] } });
    console.log(functions.prctl(3, 0n, 0n, 0n, 0n), functions.prctl(4, 0n, 0n, 0n, 0n), functions.prctl(3, 0n, 0n, 0n, 0n));`;
  const args = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', call];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.deepEqual(
    [stdout, stderr],
    ['1 0 0\n', ''],
    'prctl reads and clears the mark that lets others read the memory',
  );
});

test('Node starts a program anew under the same pid, with its environment (files/process-memory.ts)', () => {
  const again = `
    if (process.argv[1] === 'again') console.log(process.argv[2] === String(process.pid), process.env.KEPT);
    else process.execve(process.execPath, [process.execPath, '--eval', process.execArgv.at(-1), 'again', String(process.pid)], process.env);`;
  const { stdout } = spawnSync(process.execPath, ['--eval', again], {
    encoding: 'utf8',
    env: { ...process.env, KEPT: 'kept' },
  });
  assert.equal(stdout, 'true kept\n');
});

test('Node closes the idle connections of a server by its own method, which may be replaced (server/plugins/drain.ts)', async () => {
  const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(server, 'connection');
  const closeIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => {};
  server.close();
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 200 /);
  const ended = once(client, 'close');
  // The answer is written before its connection counts as idle.
  while (!client.destroyed && !client.readableEnded) {
    closeIdle();
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  await ended;
});

/** A connection of `pg` whose answers the test gives: what a batch calls of it, and what it is called back with. */
class Talk extends Duplex {
  readonly types: string[] = [];

  constructor() {
    super({ read() {}, write: (chunk, _encoding, done) => this.#take(chunk, done), autoDestroy: false });
  }
  connect(): void {
    setImmediate(() => this.emit('connect'));
  }
  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}

  /** The first message has no type; of the others each has one, and its length. */
  #take(chunk: Buffer, done: () => void): void {
    let at = this.types.length === 0 ? chunk.readInt32BE(0) : 0;
    if (at > 0) {
      this.types.push('start');
      this.push(Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]));
    }
    for (; at < chunk.length; at += 1 + chunk.readInt32BE(at + 1)) this.types.push(String.fromCharCode(chunk[at] ?? 0));
    done();
  }
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** A row of one column, `n`, a bigint in text. */
const COLUMNS = message(
  'T',
  Buffer.concat([Buffer.from([0, 1]), Buffer.from('n\0'), Buffer.from('000000000000000000140008ffffffff0000', 'hex')]),
);
const row = (text: string) =>
  message('D', Buffer.concat([Buffer.from([0, 1, 0, 0, 0, text.length]), Buffer.from(text)]));
const READY = message('Z', Buffer.from('I'));
const DONE = message('C', Buffer.from('SELECT 1\0'));
const [PARSED, BOUND] = [message('1', Buffer.alloc(0)), message('2', Buffer.alloc(0))];

test('pg lends its wire to a query that is not its own, and hands it the answers (store/postgres-batch.ts)', async () => {
  const talk = new Talk();
  const types = { getTypeParser: () => Number };
  const client = new pg.Client({
    stream: () => talk as never,
    user: 'x',
    password: 'x',
    query_timeout: 60_000,
    types: types as never,
  });
  client.on('error', () => {});
  await client.connect();
  const statement = { sql: 'select n', values: ['1', null, Buffer.from('x')], name: 'kept' };
  const sent = async (expected: string) => {
    while (talk.types.at(-1) !== 'S') await new Promise((resolve) => setImmediate(resolve));
    assert.equal(talk.types.splice(1).join(''), expected);
  };

  const first = sendBatch(client, [statement, { sql: 'begin', values: [] }]);
  await sent('PBDEPBDES');
  talk.push(
    Buffer.concat([
      PARSED,
      BOUND,
      COLUMNS,
      row('7'),
      DONE,
      PARSED,
      BOUND,
      message('n', Buffer.alloc(0)),
      message('C', Buffer.from('BEGIN\0')),
      READY,
    ]),
  );
  const [answer, begun] = await first;
  assert.deepEqual([answer?.rows, answer?.rowCount, answer?.command], [[{ n: 7 }], 1, 'SELECT']);
  assert.deepEqual([begun?.rows, begun?.command], [[], 'BEGIN']);

  const second = sendBatch(client, [statement]);
  await sent('BES');
  talk.push(Buffer.concat([BOUND, row('8'), DONE, READY]));
  assert.deepEqual((await second)[0]?.rows, [{ n: 8 }], 'the columns are those of before');

  const third = sendBatch(client, [statement]);
  await sent('BES');
  talk.push(Buffer.concat([message('E', Buffer.from('SERROR\0C23505\0Mno\0\0')), READY]));
  await assert.rejects(third, { code: '23505' });
  const { connection } = client as unknown as { connection: { close: unknown } };
  assert.equal(typeof connection.close, 'function');
});
